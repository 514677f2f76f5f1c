"""A client for any OpenAI-compatible endpoint: ledger, limits, retries, money.

Lives here: getting one reply for one request, once. Not here: what is asked (`parallel`, `extraction`).
"""

from kcx_jax.llm.accounts import judge_answers
from kcx_jax.llm.batches import BatchSettings
from kcx_jax.llm.blocking import LoopThread
from kcx_jax.llm.budget import Budget
from kcx_jax.llm.client import ChatClient
from kcx_jax.llm.ledger import Cost, Ledger, Spent
from kcx_jax.llm.limits import Limits
from kcx_jax.llm.money import dollars
from kcx_jax.llm.prices import Price, Prices, load_prices
from kcx_jax.llm.reply import EndpointError, NotAnswered, Reply, ReplyError, Stopped, Usage
from kcx_jax.llm.retry import RetryPolicy

__all__ = [
    "BatchSettings",
    "Budget",
    "ChatClient",
    "Cost",
    "EndpointError",
    "Ledger",
    "Limits",
    "LoopThread",
    "NotAnswered",
    "Price",
    "Prices",
    "Reply",
    "ReplyError",
    "RetryPolicy",
    "Spent",
    "Stopped",
    "Usage",
    "dollars",
    "judge_answers",
    "load_prices",
]
