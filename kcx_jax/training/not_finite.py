"""A loss that is not finite: the error that names its samples, and the file that keeps them."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kcx_jax.corpora import read_parallel, read_records
from kcx_jax.data import Row, TokenTree
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write
from kcx_jax.training.config import StageSettings

_NAMED = 5  # records in a message; the file has all


class NotFinite(KcxError):
    """Loss or gradient of a step is not finite. `rows` of `trees` are its samples; `stage` counts from 0."""

    def __init__(self, what: str, stage: int, trees: Sequence[TokenTree], rows: Sequence[Row]):
        self.what, self.stage = what, stage
        self.trees, self.rows = trees, [row for row in rows if row.counted]
        super().__init__(f"{what} {self._samples()}. {_ADVICE}")

    @property
    def records(self) -> list[str]:
        """Ids of the step's records, one a sample; where there is none, which branch it is."""
        branches = ((self.trees[row.tree], i) for row in self.rows for i in row.branches)
        return [tree.branches[i].record_id or f"{tree.name}/{i}" for tree, i in branches]

    def _samples(self) -> str:
        records = self.records
        more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
        return f"Its samples are of {', '.join(map(repr, records[:_NAMED]))}{more}"

    def explained(self, languages: dict[str, str], path: Path) -> KcxError:
        """The same error with the languages of its records, by their id, and the file where the samples are."""
        found = sorted({languages.get(record, "unknown") for record in self.records})
        return KcxError(
            f"{self.what} {self._samples()} ({', '.join(found)}); {path} has their tokens. {_ADVICE}"
        )

    def save(self, path: Path, languages: dict[str, str], decode: Callable[[list[int]], str]) -> None:
        """Write the samples as JSON: row by row, token ids with the text they spell."""

        def tokens(ids: Iterable[int]) -> dict:
            plain = [int(each) for each in ids]
            return {"ids": plain, "text": decode(plain)}

        rows = []
        for row in self.rows:
            tree = self.trees[row.tree]
            branches = [
                {
                    "record": branch.record_id,
                    "language": languages.get(branch.record_id, "unknown"),
                    "context": tokens(branch.context),
                    "answer": tokens(branch.answer),
                }
                for branch in (tree.branches[i] for i in row.branches)
            ]
            rows.append({"tree": tree.name, "prefix": tokens(tree.prefix), "branches": branches})
        with atomic_write(path, overwrite=True) as handle:
            json.dump({"what": self.what, "rows": rows}, handle, ensure_ascii=False, indent=1)


_ADVICE = "Lower the learning rate or lengthen the warm-up; earlier checkpoints are whole."


def record_languages(stages: Sequence[StageSettings]) -> dict[str, str]:
    """The language of every record that `stages` learn from, by its id; of a pair, both."""
    languages = {}
    for stage in stages:
        for data in stage.data:
            if stage.kind == "align":
                for pair in read_parallel(data.path):
                    languages[pair.id] = f"{pair.source.language} and {pair.target.language}"
            else:
                for record in read_records(data.path, data.reader, data.language):
                    languages[record.id] = record.language
    return languages
