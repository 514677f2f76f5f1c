"""A loss that is not finite: the error that names its samples, and the file that keeps them."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kcx_jax.data import Row, TokenBranch, TokenTree
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write

_NAMED = 5  # records in a message; the file has all


class NotFinite(KcxError):
    """Loss or gradient of a step is not finite. `rows` of `trees` are its samples."""

    def __init__(self, what: str, trees: Sequence[TokenTree], rows: Sequence[Row]):
        self.what = what
        self.trees, self.rows = trees, [row for row in rows if row.counted]
        super().__init__(f"{what} {self._samples()}. {_ADVICE}")

    def explained(self, path: Path) -> KcxError:
        """The same error with the languages of its records, and the file where the samples are."""
        found = sorted({branch.language or "unknown" for _, _, branch in self._branches()})
        return KcxError(
            f"{self.what} {self._samples()} ({', '.join(found)}); {path} has their tokens. {_ADVICE}"
        )

    def save(self, path: Path, decode: Callable[[list[int]], str]) -> None:
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
                    "language": branch.language or "unknown",
                    "context": tokens(branch.context),
                    "answer": tokens(branch.answer),
                }
                for branch in (tree.branches[i] for i in row.branches)
            ]
            rows.append({"tree": tree.name, "prefix": tokens(tree.prefix), "branches": branches})
        with atomic_write(path, overwrite=True) as handle:
            json.dump({"what": self.what, "rows": rows}, handle, ensure_ascii=False, indent=1)

    def _branches(self) -> Iterator[tuple[TokenTree, int, TokenBranch]]:
        """Every sample: its tree, which of its branches it is, and that branch."""
        for row in self.rows:
            tree = self.trees[row.tree]
            for index in row.branches:
                yield tree, index, tree.branches[index]

    def _samples(self) -> str:
        records = [branch.record_id or f"{tree.name}/{index}" for tree, index, branch in self._branches()]
        more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
        return f"Its samples are of {', '.join(map(repr, records[:_NAMED]))}{more}"


_ADVICE = "Lower the learning rate or lengthen the warm-up; earlier checkpoints are whole."
