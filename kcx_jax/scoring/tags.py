"""Tag sequences to spans, in the two readings of seqeval; they differ on broken sequences only."""

from collections.abc import Iterator, Sequence

from kcx_jax.errors import KcxError

TagSpan = tuple[str, int, int]  # type, first token, token after the last


def tag_spans(tags: Sequence[str], strict: bool = False) -> list[TagSpan]:
    """The spans of an IOB2 sequence ("B-PER", "I-PER", "O"), in the order of the tokens.

    By default (as conlleval) an "I-" that continues no span of its type begins one; with `strict` it is no
    part of any span. Raises `KcxError` for what is no IOB2 tag, with its place.
    """
    return list(_spans(tags, strict))


def _spans(tags: Sequence[str], strict: bool) -> Iterator[TagSpan]:
    kind, start = "", 0  # the open span; the kind is "" where none is
    for at, tag in enumerate(tags):
        prefix, name = _parts(tag, at)
        if prefix == "I" and name == kind:
            continue
        if kind:
            yield kind, start, at
        begins = prefix == "B" or (prefix == "I" and not strict)
        kind, start = (name, at) if begins else ("", at)
    if kind:
        yield kind, start, len(tags)


def _parts(tag: object, at: int) -> tuple[str, str]:
    if tag == "O":
        return "O", ""
    if isinstance(tag, str) and tag[:2] in ("B-", "I-") and tag[2:]:
        return tag[0], tag[2:]
    raise KcxError(f"tag {at}: {str(tag)[:40]!r} is no IOB2 tag; expected O, B-TYPE or I-TYPE")
