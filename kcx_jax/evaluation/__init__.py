"""Running benchmarks: systems x tasks x languages -> scores, tables and plots.

Lives here: who is scored on what. Not here: the metrics themselves (`scoring`).
"""
