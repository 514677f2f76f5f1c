"""Spans carried over by word alignment: statistics of the corpus itself, by eflomal (extra ``align``).

It needs no model and no GPU, and gets better with the size of the corpus. Tokens are those that `kcx_jax` writes into
column formats: words, or characters in scripts without spaces.
"""

import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from kcx_jax.corpora.writers.tokens import split_tokens
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan

Links = set[tuple[int, int]]
LARGEST_GAP = 1
"""So many tokens without a link may lie within a span of the target."""


def align(sentences: Sequence[tuple[str, str]]) -> list[Links]:
    """The linked tokens (source index, target index) of each pair of texts.

    Drawn by a sampler without a seed, so two runs may differ in a few links. Pairs in which a side has no token
    have no links.
    """
    from eflomal import Aligner

    tokens = [(_words(source), _words(target)) for source, target in sentences]
    used = [i for i, (ours, theirs) in enumerate(tokens) if ours and theirs]
    links: list[Links] = [set() for _ in tokens]
    if not used:
        return links
    with tempfile.TemporaryDirectory() as folder:
        forward, backward = Path(folder) / "forward", Path(folder) / "backward"
        Aligner().align(
            [" ".join(tokens[i][0]) for i in used],
            [" ".join(tokens[i][1]) for i in used],
            links_filename_fwd=str(forward),
            links_filename_rev=str(backward),
        )
        lines = zip(forward.read_text().splitlines(), backward.read_text().splitlines(), strict=True)
        for i, (ours, theirs) in zip(used, lines, strict=True):
            links[i] = symmetrised(_links(ours), _links(theirs))
    return links


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_tokens(text)]


def _links(line: str) -> Links:
    pairs = (link.split("-") for link in line.split())
    return {(int(source), int(target)) for source, target in pairs}


def symmetrised(forward: Links, backward: Links) -> Links:
    """What both directions say, and what one of them says beside such a link of a token that has none yet."""
    links = forward & backward
    left = sorted((forward | backward) - links)
    sources, targets = {i for i, _ in links}, {j for _, j in links}
    grown = True
    while grown:
        grown = False
        for i, j in left:
            beside = any((i + a, j + b) in links for a in (-1, 0, 1) for b in (-1, 0, 1))
            if beside and (i, j) not in links and (i not in sources or j not in targets):
                links.add((i, j))
                sources.add(i)
                targets.add(j)
                grown = True
    return links


def carry(spans: Iterable[SourceSpan], source: str, target: str, links: Links) -> dict[str, Offsets]:
    """Where the spans of `source` stand in `target`: of what is linked to a span, the longest run of tokens.

    Punctuation at its ends is no part of it. A span without a link has no place.
    """
    ours, theirs = split_tokens(source), split_tokens(target)
    places: dict[str, Offsets] = {}
    for span in spans:
        inside = {i for i, (start, end) in enumerate(ours) if start < span.end and span.start < end}
        run = _longest_run(sorted({j for i, j in links if i in inside}))
        while run and _is_mark(target[slice(*theirs[run[0]])]):
            run = run[1:]
        while run and _is_mark(target[slice(*theirs[run[-1]])]):
            run = run[:-1]
        if run:
            places[span.id] = (theirs[run[0]][0], theirs[run[-1]][1])
    return places


def _longest_run(numbers: Sequence[int]) -> Sequence[int]:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number - runs[-1][-1] <= LARGEST_GAP + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return max(runs, key=len, default=[])


def _is_mark(token: str) -> bool:
    return all(unicodedata.category(char)[0] in "PS" for char in token)
