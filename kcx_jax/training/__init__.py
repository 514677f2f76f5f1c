"""State, step, loop, optimiser and the two tuning stages.

Lives here: everything between a row plan and a checkpoint. Not here: decoding and scores (passed in as a callback).
"""
