"""The card of a dataset of pairs: what is in it, what made it, and under which licences its sources are.

The licence of the whole is never guessed: the card's head names the sources' where all of them are known, and says
"unknown" otherwise.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from kcx_jax import __version__
from kcx_jax.corpora import Benchmark, ParallelRecord, Record
from kcx_jax.corpora.catalogue import UNKNOWN

# How the Hugging Face Hub spells the licences that the catalogue has.
_HUB_LICENCES = {
    "CC BY 3.0": "cc-by-3.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-NC 4.0": "cc-by-nc-4.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "CC BY-SA 3.0": "cc-by-sa-3.0",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "GPL-3.0": "gpl-3.0",
    "MIT": "mit",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"


def card(
    pairs: Sequence[ParallelRecord], data: str, run_id: str | None, sources: Sequence[Benchmark] = ()
) -> str:
    """The README.md of a folder whose pairs lie in `data`, made by the run `run_id` out of `sources`."""
    head = yaml.safe_dump(_head(pairs, data, sources), allow_unicode=True, sort_keys=False)
    made = Counter((_told(pair, "stage"), _told(pair, "model"), _told(pair, "round")) for pair in pairs)
    parts = [
        f"---\n{head}---\n",
        "# Parallel data for information extraction\n",
        f"{len(pairs)} pairs, written by kcx_jax {__version__}"
        + (f" from the run `{_cell(run_id)}`" if run_id else "")
        + ". Equal entity ids on both sides mean the same thing; offsets are half-open and count code points.\n",
        "## Sources and licences\n",
        _sources(sources),
        "## What is in it\n",
        _table(("language", "side", "records", "entities", "relations", "events"), _counts(pairs)),
        "## What made it\n",
        _table(("stage", "model", "round", "pairs"), ((*key, n) for key, n in sorted(made.items()))),
    ]
    return "\n".join(parts)


def _head(pairs: Sequence[ParallelRecord], data: str, sources: Sequence[Benchmark]) -> dict[str, Any]:
    languages = sorted({side.language for pair in pairs for side in (pair.source, pair.target)})
    return {
        "language": languages,
        "license": _licence(sources),
        "task_categories": ["token-classification", "translation"],
        "size_categories": [next((name for limit, name in _SIZES if len(pairs) < limit), _LARGEST)],
        "tags": ["information-extraction", "parallel", "kcx_jax"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": data}]}],
    }


def _licence(sources: Sequence[Benchmark]) -> str | list[str]:
    known = sorted({_HUB_LICENCES.get(source.licence or "", UNKNOWN) for source in sources})
    if not known or UNKNOWN in known:
        return UNKNOWN
    return known[0] if len(known) == 1 else known


def _sources(sources: Sequence[Benchmark]) -> str:
    if not sources:
        return (
            "Not stated. The licences of the corpora that the pairs were made from hold for the pairs too.\n"
        )
    rows = (
        (source.title, source.licence or UNKNOWN, source.texts or UNKNOWN, source.how_to_obtain())
        for source in sources
    )
    told = "The pairs derive from these corpora and are under their licences; of several, all of them hold.\n"
    return f"{told}\n{_table(('corpus', 'licence', 'texts', 'where'), rows)}"


def _counts(pairs: Sequence[ParallelRecord]) -> Iterable[tuple[Any, ...]]:
    for side in ("source", "target"):
        by_language: dict[str, list[Record]] = {}
        for pair in pairs:
            record: Record = getattr(pair, side)
            by_language.setdefault(record.language, []).append(record)
        for language, records in sorted(by_language.items()):
            layers = ([len(getattr(record, layer) or ()) for record in records] for layer in _LAYERS)
            yield (language, side, len(records), *map(sum, layers))


_LAYERS = ("entities", "relations", "events")


def _told(pair: ParallelRecord, key: str) -> str:
    return str(pair.provenance.get(key, ""))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: Any) -> str:
    """Text that stays in its cell: no line ends, no bars, no markup."""
    text = " ".join(str(value).split())
    return "".join(f"\\{char}" if char in "|\\`*_<>[]" else char for char in text)
