"""From prompt trees to arrays: the row plan, tree packing, the Grain graph, sharding by process.

Lives here: which records form which rows, with which shapes, in which order. Not here: the loss (`training`).
"""
