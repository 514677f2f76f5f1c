"""Pairs for those who use them: as a Hugging Face dataset with its card, as tuning samples, in either direction.

Lives here too: the parts of a corpus put together, pairs from two annotated corpora without an LLM, and the guard
against pairs of a test set.
"""
