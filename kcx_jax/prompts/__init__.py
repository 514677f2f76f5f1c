"""Records + schema -> `PromptTree`: a schema is a prefix, sentences are branches.

Lives here: the wording of extraction (stage 2) and alignment (stage 1). Not here: token ids (`data`).
"""
