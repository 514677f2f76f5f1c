"""Each fault of meaning: where it is mended, by which rule it is refused, or that it passes.

How often each passes on real translations, and what the optional checks catch of it, is the table of docs/parallel.md.
"""

from pathlib import Path

import pytest

from kcx_jax.corpora import ParallelRecord
from kcx_jax.parallel.translation.language_id import load_identifier
from kcx_jax.parallel.translation.pipeline import translate
from kcx_jax.parallel.translation.spans import source_spans
from kcx_jax.testing.llm_script import Script
from kcx_jax.testing.meaning_faults import SEMANTIC

T, S, R = "translate", "rewrite_spans", "rewrite_sentence"
SOURCE = "[Jean-Paul|e0:P] met [Ada Lee|e1:P] at [Café 1984|e2:L]; [Ada Lee|e3:P] left in 1851."
TARGETS = {
    "zh": "[让-保罗|e0:P]在[1984咖啡馆|e2:L]会见了[艾达·李|e1:P]；1851年，[艾达·李|e3:P]离开了这个国家。",
    "de": "[Jean-Paul|e0:P] traf [Ada Lee|e1:P] im [Café 1984|e2:L]; 1851 ging [Ada Lee|e3:P] fort.",
}
# Fault -> the stage that ends it, and the rule that refused the first reply.
MENDED = {
    "zh": {
        **dict.fromkeys(("extra_span", "duplicate_id", "renumbered_ids"), (T, "wrong_ids")),
        **dict.fromkeys(("half_translated", "wrong_language", "pinyin", "traditional"), (T, "wrong_script")),
        "span_in_source": (S, None),
        "zero_width": (R, None),  # the second of two mentions, the first of which stands verbatim
        "marks": (R, None),
        "repeat_dropped": (R, None),
        "bidi_override": (T, "control_character"),
        "wrong_number": (T, "lost_number"),
        "shortened": (T, "lost_number"),
        "padded": (T, "too_long"),
        "chatter": (T, "leaked"),
        "tags": (T, "leaked"),
    },
    "de": {
        **dict.fromkeys(("extra_span", "duplicate_id", "renumbered_ids"), (T, "wrong_ids")),
        "half_translated": (T, "untranslated"),
        "wrong_language": (T, "lost_number"),
        "zero_width": (T, "lost_number"),  # in the midst of a number
        "inflection": (R, None),
        "repeat_dropped": (R, None),
        "bidi_override": (T, "control_character"),
        "wrong_number": (T, "lost_number"),
        "shortened": (T, "lost_number"),
        "padded": (T, "too_long"),
        "chatter": (T, "leaked"),
        "tags": (T, "leaked"),
    },
}
# What is taken though it is not the right translation, with the rungs and flags that tell.
PASSES = {
    "zh": {
        **dict.fromkeys(
            ("swapped_spans", "swapped_in_sentence", "bidi_marks", "emoji", "inflection", "substring"),
            ({"verbatim"}, set()),
        ),
        "kept_span": ({"verbatim"}, {"other_script"}),
        "pinyin_span": ({"verbatim"}, {"other_script"}),
    },
    "de": {
        **dict.fromkeys(
            ("swapped_spans", "swapped_in_sentence", "bidi_marks", "emoji", "substring", "pinyin", "pinyin_span"),
            ({"verbatim"}, set()),
        ),
        "nfd": ({"verbatim", "nfc"}, set()),
        "full_width": ({"verbatim", "width"}, set()),
        "casing": ({"verbatim", "case"}, set()),
    },
}  # fmt: skip


def _run(coroutine):
    """The outcome of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


@pytest.mark.parametrize("language", TARGETS)
@pytest.mark.parametrize("fault", SEMANTIC)
def test_a_fault_is_mended_or_refused_or_passes(mark, scripted, fault, language):
    source, target = mark(SOURCE), mark(TARGETS[language], language=language)
    script = Script({}, [ParallelRecord("r0", source, target)])
    outcome = _run(translate(source, language, [scripted(script, fault)]))
    pair = outcome.pair
    pair.target.check()
    assert {m.id: m.type for m in pair.target.entities} == {m.id: m.type for m in target.entities}
    if fault in MENDED[language]:
        stage, kind = MENDED[language][fault]
        assert (outcome.stage, [problem.kind for problem in outcome.problems]) == (
            stage,
            [kind] if kind else [],
        )
        assert pair.target == target
    elif fault in PASSES[language]:
        rungs, flags = PASSES[language][fault]
        assert (outcome.stage, outcome.problems) == (T, ())
        assert set(pair.provenance["rungs"]) == rungs
        assert set(pair.provenance.get("flags", ())) == flags
        assert pair.target != target
    else:  # nothing of this pair to change, or only its surface in the list of spans
        assert (outcome.stage, pair.target) == (T, target)


def test_the_xml_variant_is_answered_by_the_script(mark, scripted):
    source, target = mark(SOURCE), mark(TARGETS["zh"], language="zh")
    script = Script({}, [ParallelRecord("r0", source, target)])
    outcome = _run(translate(source, "zh", [scripted(script)], variant="xml"))
    assert outcome.pair.target == target


def _accepted(pair, client, **options):
    """The pair that the first reply gave, if it was taken as it was."""
    outcome = _run(translate(pair.source, pair.target.language, [client], **options))
    return outcome.pair if outcome.stage == T and not outcome.problems else None


def _shares(pairs, scripted, identify):
    """Fault -> how many replies it changed, and the shares that pass and, of these, bear a new flag or
    are caught by a check."""
    script = Script({}, pairs)
    right, flags = [], {}
    for pair in pairs:
        accepted = _accepted(pair, scripted(script))
        if accepted and accepted.target.entities == pair.target.entities:
            right.append(pair)
            flags[pair.id] = accepted.provenance.get("flags")
    table = {}
    for fault in SEMANTIC:
        changed = passed = flagged = by_language = by_glossary = 0
        for pair in right:
            answers = [_first_reply(pair, scripted(script, each)) for each in (None, fault)]
            if answers[0] == answers[1]:
                continue
            changed += 1
            made = _accepted(pair, scripted(script, fault))
            if made is None or (made.target.text, made.target.entities) == (
                pair.target.text,
                pair.target.entities,
            ):
                continue
            passed += 1
            flagged += made.provenance.get("flags") != flags[pair.id]
            by_language += _accepted(pair, scripted(script, fault), identify=identify) is None
            by_glossary += _accepted(pair, scripted(script, fault), glossary=_settled(pair)) is None
        if passed:
            table[fault] = (
                changed,
                passed / changed,
                *(n / passed for n in (flagged, by_language, by_glossary)),
            )
    return len(right), table


def _first_reply(pair, client):
    from kcx_jax.parallel.translation import prompts

    data = prompts.translate_data(pair.source, pair.target.language, source_spans(pair.source))
    return _run(client.complete(prompts.messages(data), max_tokens=9, stage=T, record=pair.id)).text


def _settled(pair):
    """A glossary with the right translation of every span of the pair."""
    translations = {mention.id: mention.text for mention in pair.target.entities}
    entries: dict[str, str] = {}
    for mention in pair.source.entities:
        entries.setdefault(mention.text, translations[mention.id])
    return {pair.target.language: entries}


@pytest.mark.slow
def test_what_no_invariant_sees_is_in_the_docs(crossre, scripted):
    pytest.importorskip("py3langid")
    identify = load_identifier()
    docs = (Path(__file__).parents[3] / "docs" / "parallel.md").read_text(encoding="utf-8").splitlines()
    measured = []
    for name, language, step in (("chinese", "zh", 29), ("german", "de", 3)):
        count, table = _shares(crossre(name, language)[::step], scripted, identify)
        measured.append(f"en-{language}: {count} pairs")
        measured += [
            f"| en-{language} | `{fault}` | {changed} | "
            + " | ".join(f"{100 * share:.0f}" for share in shares)
            + " |"
            for fault, (changed, *shares) in table.items()
        ]
    assert "\n".join(row for row in measured if row not in docs) == ""
