"""The bill of a ledger, made from the raw replies: what a killed process left open, or all of it by other prices."""

from collections.abc import Callable

from kcx_jax.llm.ledger import Cost, Ledger
from kcx_jax.llm.prices import Price
from kcx_jax.llm.reply import BodyFault, read_body

PriceOf = Callable[[str], Price | None]


def judge_answers(ledger: Ledger, price_of: PriceOf, *, all: bool = False) -> int:
    """Read the answers that were kept and not read (or ``all`` of them) and bill them; returns how many."""
    count = 0
    for call, model, body, batch in ledger.answered(unread=not all):
        error_class, finish_reason = None, None
        try:
            reply = read_body(body)
        except BodyFault as fault:
            usage, error_class = fault.usage, fault.error_class
        else:
            usage, finish_reason = reply.usage, reply.finish_reason
        price = price_of(model)
        cost = Cost(price.cost(usage, batch), price.id) if price is not None else Cost()
        ledger.judge(call, usage, cost, error_class=error_class, finish_reason=finish_reason)
        count += 1
    ledger.store.flush()
    return count
