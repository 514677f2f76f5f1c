"""Every annotated place is a span once, and a carried-over record keeps everything but its offsets."""

from kcx_jax.corpora import Argument, EventMention, Mention, Record, Span, make_span
from kcx_jax.parallel.translation.spans import carry_over, discontinuous, source_spans


def test_places_come_in_the_order_of_the_text_with_all_their_roles(mark):
    record = mark("In [[New York|e1:City] State|e0:Region], [Ada|e2:Person] won.")
    won = make_span(record.text, record.text.index("won"), record.text.index("won") + 3)
    ada = record.entities[2]
    arguments = (
        Argument("winner", entity="e2"),
        Argument("place", start=ada.start, end=ada.end, text=ada.text),
    )
    record = Record(**{**vars(record), "events": (EventMention("Win", won, arguments),)})
    assert [(span.id, span.text, span.role) for span in source_spans(record)] == [
        ("s0", "New York State", "Region"),
        ("s1", "New York", "City"),
        ("s2", "Ada", "Person, place of Win"),
        ("s3", "won", "trigger of Win"),
    ]


def test_layers_that_are_not_annotated_stay_so():
    for layer in ("entities", "relations", "events"):
        record = Record("r", "en", "text", **{layer: ()})
        assert source_spans(record) == ()
        moved = carry_over(record, "Text", "de", {})
        assert vars(moved) == {**vars(record), "text": "Text", "language": "de"}


def test_carrying_a_pair_over_gives_its_target(pairs):
    for pair in pairs[:3]:
        places = {}
        for mention, other in zip(pair.source.entities, pair.target.entities, strict=True):
            places[mention.start, mention.end] = (other.start, other.end)
        (event,), (other,) = pair.source.events, pair.target.events
        places[event.trigger.start, event.trigger.end] = (other.trigger.start, other.trigger.end)
        assert carry_over(pair.source, pair.target.text, "zh", places) == pair.target


def test_entities_follow_the_order_of_the_target(mark):
    record = mark("[Ada|e0:Person] in [Rome|e1:City]")
    moved = carry_over(record, "Roma: Ada", "it", {(0, 3): (6, 9), (7, 11): (0, 4)})
    assert [(m.id, m.text) for m in moved.entities] == [("e1", "Roma"), ("e0", "Ada")]
    moved.check()


def test_a_span_in_pieces_travels_as_its_hull_and_is_counted():
    text = "left and right arm"
    record = Record("r", "en", text, (Mention("e0", "Limb", 0, 18, text, ((0, 4), (15, 18))),))
    record.check()
    assert [span.text for span in source_spans(record)] == [text]
    assert discontinuous(record) == 1
    moved = carry_over(record, "左右臂", "zh", {(0, 18): (0, 3)})
    moved.check()
    assert moved.entities[0].spans == ()
    event = EventMention("E", Span(0, 18, text, ((0, 4), (15, 18))))
    assert discontinuous(Record("r", "en", text, events=(event,))) == 1
