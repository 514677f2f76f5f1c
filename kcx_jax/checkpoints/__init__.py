"""Hugging Face weights in and out, PEFT adapters, and the Orbax store of a run.

Lives here: every file that holds weights. Not here: the arithmetic on them (`models`, `lora`).
"""
