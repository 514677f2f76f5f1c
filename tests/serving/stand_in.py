"""The face of the live engine without a model: a test says what it answers, and may hold that back."""

import threading
from collections.abc import Callable
from importlib.resources import files
from types import SimpleNamespace

from kcx_jax.decoding import Generated
from kcx_jax.decoding.live import LiveFigures, Ticket
from kcx_jax.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer(str(files("kcx_jax.demo").joinpath("base")))


class StandIn:
    """Answers `reply(wanted)` at once, or, `held`, when a test calls `let_go`. Knows whatever was asked."""

    def __init__(self, reply: Callable[..., str] = lambda wanted: " []", held: bool = False):
        config = SimpleNamespace(max_positions=4096)
        self.generator = SimpleNamespace(model=SimpleNamespace(tokenizer=TOKENIZER, config=config))
        self.reply, self.held = reply, held
        self.asked: list[tuple] = []  # wanted, on_text, ticket
        self._changed = threading.Condition()

    def submit(self, wanted, on_text=None) -> Ticket:
        ticket = Ticket()
        ticket.future.add_done_callback(lambda _: self._notify())
        self.asked.append((wanted, on_text, ticket))
        self._notify()
        if not self.held:
            self._answer(wanted, on_text, ticket)
        return ticket

    def _answer(self, wanted, on_text, ticket: Ticket) -> None:
        try:
            text = self.reply(wanted)
        except Exception as error:
            ticket.future.set_exception(error)
            return
        if on_text is not None:
            for end in range(0, len(text), 3 + len(text) // 20):
                on_text(text[:end])
        ids = tuple(TOKENIZER.encode(text[:10_000], allow_special=True))  # megabytes would take minutes
        if ticket.future.set_running_or_notify_cancel():
            ticket.future.set_result(Generated(text, ids, "stop", (-0.5,) * len(ids)))

    def let_go(self) -> None:
        """Answer what waits, and from now on at once."""
        self.held = False
        for each in self.asked:
            if not each[2].future.done():
                self._answer(*each)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Requests that have no answer and were not cancelled."""
        return sum(not ticket.future.done() for _, _, ticket in self.asked)

    def until(self, is_so: Callable[["StandIn"], bool]) -> None:
        """Wait until that is so."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self), timeout=60)

    def warm(self, examples, pin=False) -> None:
        """See `Live`: whoever is warmed by it is warm."""
        list(examples)

    def figures(self) -> LiveFigures:
        """See `Live`."""
        cancelled = sum(ticket.future.cancelled() for _, _, ticket in self.asked)
        return LiveFigures(0, self.waiting, 8, 1, len(self.asked), cancelled, *[0] * 8, None)

    def close(self) -> None:
        """See `Live`."""
