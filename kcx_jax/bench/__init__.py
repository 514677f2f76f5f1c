"""Measurements of this project beside a peer, in one run on one machine: `kcx bench`.

Lives here: what is timed and how it is reported. Not here: tests (a timing is never a test's condition).
"""
