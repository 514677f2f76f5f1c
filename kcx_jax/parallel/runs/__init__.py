"""Runs: a corpus through the pipeline, in a folder that can be left and gone on with.

Lives here: the list of work in the ledger, the build, its settings and statistics, the plan before it, shards.
"""
