"""Hand-written low-rank adapters as pure functions and their own variable collection.

Lives here: initialising, applying, merging and choosing targets. Not here: files (`checkpoints`).
"""
