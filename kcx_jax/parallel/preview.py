"""A look before the money is spent: a few records of a corpus, of every length and type, built for real.

They are built in the run's own folder, so that the build that follows with the same settings finds them done:
its rows take the place of the preview's, and what is the same keeps its end.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora import Record
from kcx_jax.errors import UsageError
from kcx_jax.llm import ChatClient, Ledger
from kcx_jax.parallel.report.counts import length_bin, types_of
from kcx_jax.parallel.report.drawing import Drawing
from kcx_jax.parallel.runs.build import Progress, build
from kcx_jax.parallel.runs.run import LEDGER, Run
from kcx_jax.parallel.runs.settings import Settings
from kcx_jax.parallel.runs.worklist import Worklist

# Under this name the ledger keeps which of its starts was a preview's.
_NOTE = "preview"


def draw(records: Iterable[Record], size: int, seed: int = 0) -> list[Record]:
    """At most `size` of the records, drawn at random so that all lengths and types come in turn, rare ones too."""
    strata: dict[tuple[str, str], Drawing[Record]] = {}
    for record in records:
        for type_ in types_of(record) or {""}:
            place = (length_bin(record.text), type_)
            strata.setdefault(place, Drawing(size, seed)).offer(record.id, record)
    # Which strata come first is drawn too: there may be more of them than records are wanted.
    lots = Drawing[tuple[str, str]](len(strata), seed)
    for place in strata:
        lots.offer("\n".join(place), place)
    chosen: dict[str, Record] = {}
    for record in _in_turn([iter(strata[place]) for place in lots]):
        if len(chosen) == size:
            break
        chosen.setdefault(record.id, record)
    return list(chosen.values())


def _in_turn(streams: Sequence[Iterator[Record]]) -> Iterator[Record]:
    while streams:
        going = []
        for stream in streams:
            record = next(stream, None)
            if record is not None:
                going.append(stream)
                yield record
        streams = going


def preview(
    records: Iterable[Record],
    source: str,
    targets: str | Sequence[str],
    client: ChatClient,
    run_dir: str | Path,
    fallback: ChatClient | None = None,
    progress: Progress | None = None,
    *,
    size: int = 20,
    seed: int = 0,
    settings: Settings | None = None,
    budget: int | None = None,
) -> Run:
    """Build `size` of the `records` in `run_dir`; the arguments are those of `build`.

    Raises `UsageError` when the folder holds a run that was built already, and whatever `build` does.
    """
    chosen = draw(records, size, seed)
    ledger_path = Path(run_dir) / LEDGER
    with Ledger(ledger_path) as ledger:
        before = Worklist(ledger).start
        if before and ledger.noted(_NOTE) != str(before):
            raise UsageError(
                f"{run_dir} holds a run that was built already; kcx parallel report shows it. "
                "Preview in another folder."
            )
    try:
        return build(
            chosen, source, targets, client, run_dir, fallback, progress, settings=settings, budget=budget
        )
    finally:
        with Ledger(ledger_path) as ledger:
            if Worklist(ledger).start > before:
                ledger.note(_NOTE, str(before + 1))
