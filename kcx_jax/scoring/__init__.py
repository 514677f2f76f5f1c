"""Grounding of answers to offsets, and metrics whose definition stands beside them.

Lives here: instances + text -> record; gold + predicted -> scores. Not here: running models (`evaluation`).
"""
