"""The three-stage pipeline that builds parallel IE data with an LLM.

Lives here: joint translation, span rewriting, sentence rewriting, and the check that every span resolves.
Not here: the HTTP client (`llm`).
"""
