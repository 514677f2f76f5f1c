"""`Extractor`: text + schema -> grounded instances, from our models or from a chat endpoint.

Lives here: the door for people who only want entities out of text. Runs without JAX against a chat endpoint.
"""
