"""A client for any OpenAI-compatible endpoint: ledger, limits, retries, money.

Lives here: getting one reply for one request, once. Not here: what is asked (`parallel`, `extraction`).
"""
