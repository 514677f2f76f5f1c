"""SentencePiece and ``tokenizer.json`` behind one small face; no remote code.

Lives here: text -> ids -> text, and training a small tokenizer with Baichuan2's properties.
"""
