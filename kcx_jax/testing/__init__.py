"""Public helpers for tests: tiny configs, a tiny tokenizer, fake devices, a scripted LLM server.

Lives here: what tests of this project and of its users need. Not here: tests.
"""
