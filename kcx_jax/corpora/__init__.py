"""Annotated text: `Record`, one reader a format, writers, the catalogue of benchmarks.

Lives here: what stands in a file and how it is read without shifting an offset. Not here: scores (`scoring`),
prompts (`prompts`).
"""
