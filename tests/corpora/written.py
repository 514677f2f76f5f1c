"""Records of any script for the tests of writers and readers, and their comparison."""

from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span

ROLES = st.sampled_from(["agent", "from", "Main__Sub", "Main___Sub", "_a_____b"])
TYPES = st.sampled_from(["Person", "Location", "PER"])
# Latin, Arabic, Han, Thai, Hangul, emoji beyond the BMP and joined ones, combining marks, quotes, brackets, spaces.
SPACED = ["Ada", "été", "e\u0301", "عدن", "서울", '"', "\\", "#", "<", "[x](", " ", "  ", ","]
PIECES = [*SPACED, "李白", "กรุง", "😀", "👩\u200d🔬"]


@st.composite
def texts(draw, more=()):
    return "".join(draw(st.lists(st.sampled_from([*PIECES, *more]), min_size=1, max_size=12)))


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
