"""One record from one language into another: the requests, what their replies must be, and the three stages.

Lives here: prompts, the checks of a reply, the invariants of a translation, the matching ladder, and the pipeline.
Not here: the HTTP client (`llm`); a corpus of records with its folder on disk (`runs`).
"""
