"""Records of any script for the tests of writers and readers, and their comparison."""

from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, Span, make_span

ROLES = st.sampled_from(["agent", "from", "Main__Sub", "Main___Sub", "_a_____b"])
TYPES = st.sampled_from(["Person", "Location", "PER"])
# Latin, Arabic, Han, Thai, Hangul, emoji beyond the BMP and joined ones, combining marks, quotes, brackets, spaces.
SPACED = ["Ada", "été", "e\u0301", "عدن", "서울", '"', "\\", "#", "<", "[x](", " ", "  ", ","]
PIECES = [*SPACED, "李白", "กรุง", "😀", "👩\u200d🔬"]


# What parts lines somewhere, or ends strings in some programs.
CONTROLS = [
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\0",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "\u200b",
]


@st.composite
def texts(draw, more=(), empty=False):
    return "".join(draw(st.lists(st.sampled_from([*PIECES, *more]), min_size=0 if empty else 1, max_size=12)))


@st.composite
def records(draw, more=(), overlapping=True, relations=True, events=True, entity_arguments=False):
    """Records with mentions at any place of the text (no two of one type at one place)."""
    text = draw(texts(more))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 8)).map(
        lambda p: (p[0], min(p[0] + p[1], len(text)))
    )
    found = draw(st.lists(st.tuples(places, TYPES), max_size=5, unique=True))
    found.sort(key=lambda item: item[0])
    if not overlapping:
        kept, end = [], 0
        for place, name in found:
            if place[0] >= end:
                kept.append((place, name))
                end = place[1]
        found = kept
    entities = tuple(Mention(f"e{i}", name, s, e, text[s:e]) for i, ((s, e), name) in enumerate(found))
    ids = st.sampled_from([m.id for m in entities]) if entities else None
    links = (
        st.lists(st.builds(RelationLink, st.just("BirthPlace"), ids, ids), max_size=3)
        if entities
        else st.just([])
    )
    arguments = st.builds(lambda role, i: Argument(role, entity=i), ROLES, ids) if entities else st.nothing()
    if not entity_arguments:
        spans = st.builds(lambda r, p: Argument(r, start=p[0], end=p[1], text=text[slice(*p)]), ROLES, places)
        arguments = spans if not entities else st.one_of(arguments, spans)
    fillers = st.lists(arguments, max_size=2) if entities or not entity_arguments else st.just([])
    event = st.builds(lambda p, a: EventMention("Attack", make_span(text, *p), tuple(a)), places, fillers)
    return Record(
        "r 1",
        "en",
        text,
        entities,
        tuple(draw(links)) if relations else None,
        tuple(draw(st.lists(event, max_size=2))) if events else None,
    )


@st.composite
def wild_records(draw):
    """Records with any layer left out, discontinuous spans, an empty text, control characters."""
    text = draw(texts(CONTROLS, empty=True))
    cuts = st.lists(st.integers(0, len(text)), min_size=2, max_size=6, unique=True).map(sorted)
    found = draw(st.lists(cuts, max_size=5)) if text else []
    spans = [_span(text, places) for places in found]
    entities = tuple(
        Mention(f"e{i}", draw(TYPES), s.start, s.end, s.text, s.spans) for i, s in enumerate(spans)
    )
    ids = st.sampled_from([m.id for m in entities]) if entities else st.nothing()
    links = st.lists(st.builds(RelationLink, st.sampled_from(["Born", "Met"]), ids, ids), max_size=3)
    events = st.just(())
    if text:
        fillers = cuts.map(lambda places: _span(text, places))
        plain = st.builds(lambda r, s: Argument(r, None, s.start, s.end, s.text, s.spans), ROLES, fillers)
        arguments = plain | st.builds(lambda role, i: Argument(role, entity=i), ROLES, ids)
        filled = st.lists(arguments, max_size=3).map(tuple)
        event = st.builds(EventMention, st.sampled_from(["Attack", "Meet"]), fillers, filled)
        events = st.lists(event, max_size=2).map(tuple)
    return Record(
        "r 1",
        draw(st.sampled_from(["en", "zh"])),
        text,
        entities if entities or draw(st.booleans()) else None,
        draw(st.none() | links.map(tuple)) if entities else draw(st.sampled_from([None, ()])),
        draw(st.none() | events),
    )


def _span(text, places) -> Span:
    """The span from the first to the last of sorted places; every other stretch between them is a part of it."""
    start, end = places[0], places[-1]
    pairs = tuple(zip(places[::2], places[1::2], strict=False))
    parts = pairs if len(places) > 2 and len(places) % 2 == 0 else ()
    return Span(start, end, text[start:end], parts)


def content(record: Record):
    """What a record says, whatever its ids: mentions, relations and events by the places of their mentions."""
    where = {m.id: (m.start, m.end, m.spans, m.type) for m in record.entities or ()}

    def filler(a: Argument):
        return where[a.entity] if a.entity is not None else (a.start, a.end, a.spans)

    return (
        record.text,
        None if record.entities is None else sorted(where.values()),
        None
        if record.relations is None
        else sorted((r.type, where[r.head], where[r.tail]) for r in record.relations),
        None
        if record.events is None
        else [(e.type, e.trigger, [(a.role, filler(a)) for a in e.arguments]) for e in record.events],
    )
