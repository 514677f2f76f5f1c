"""`kcx demo`: the whole path on a corpus written for this project.

Lives here: the corpus generator, the demo's base model, the seven steps and their report.
"""
