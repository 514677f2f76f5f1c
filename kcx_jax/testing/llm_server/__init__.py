"""An OpenAI-compatible HTTP server that knows the right answers and makes mistakes on purpose.

It speaks Chat Completions (stored ones too), Files and Batch on the loopback address, over real sockets, and
counts what it served, so that a client's ledger can be checked against the bill. `llm_script` says what it
answers, `llm_faults` names the faults of transport and body. ``python -m kcx_jax.testing.llm_server`` starts
it as a process of its own.
"""

from kcx_jax.testing.llm_server.batches import BatchRules
from kcx_jax.testing.llm_server.bill import Bill
from kcx_jax.testing.llm_server.limits import Limits
from kcx_jax.testing.llm_server.server import ScriptedServer

__all__ = ["BatchRules", "Bill", "Limits", "ScriptedServer"]
