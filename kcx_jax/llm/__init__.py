"""A client for any OpenAI-compatible endpoint: ledger, limits, retries, money.

Lives here: getting one reply for one request, once. Not here: what is asked (`parallel`, `extraction`).
"""

from kcx_jax.llm.blocking import LoopThread
from kcx_jax.llm.client import ChatClient
from kcx_jax.llm.ledger import Ledger
from kcx_jax.llm.reply import EndpointError, NotAnswered, Reply, ReplyError, Usage
from kcx_jax.llm.retry import RetryPolicy

__all__ = [
    "ChatClient",
    "EndpointError",
    "Ledger",
    "LoopThread",
    "NotAnswered",
    "Reply",
    "ReplyError",
    "RetryPolicy",
    "Usage",
]
