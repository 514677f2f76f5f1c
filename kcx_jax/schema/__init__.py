"""Schemas as code: `Entity`, `Relation`, `Event`, the ontology, and answers in both directions.

Lives here: how a user declares concepts; label in any language -> one English class; class -> source code;
answer code -> instances (a parser, never ``eval``). Not here: records and offsets (`corpora`), prompts (`prompts`).
"""
