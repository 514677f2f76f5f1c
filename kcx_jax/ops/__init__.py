"""Pure functions on arrays: attention, RoPE, RMSNorm, cross-entropy.

Lives here: mathematics without parameters of its own. Not here: modules with weights (`models`).
"""
