"""Leakage, counted by hand."""

from kcx_jax.corpora import Mention, Record, leakage


def record(id, text, *surfaces):
    mentions = [
        Mention(f"e{i}", "X", text.index(s), text.index(s) + len(s), s) for i, s in enumerate(surfaces)
    ]
    return Record(id, "en", text, tuple(mentions))


def test_shares_by_hand():
    train = [record("1", "Ada met Bob .", "Ada", "Bob"), Record("2", "en", "Eve slept.")]
    test = [
        record("1", "ada met Bob.", "ada", "Bob"),  # seen but for spacing and case
        record("2", "Ada met Eve.", "Ada", "Eve"),  # Eve is in training, but not as a mention
        Record("3", "en", "Ｅve  slept."),  # full width
    ]
    found = leakage(train, test)
    assert (found.sentences.seen, found.sentences.total) == (2, 3)
    assert (found.mentions.seen, found.mentions.total) == (3, 4)
    assert (found.names.seen, found.names.total) == (2, 3)
    assert found.mentions.examples == ("ada", "Bob", "Ada")
    assert found.mentions.fraction == 0.75
    assert leakage([], []).sentences.fraction == 0
