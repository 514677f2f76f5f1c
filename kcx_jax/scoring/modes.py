"""The table of modes: whose figures they are, what is counted, how units are matched, and how averaged."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring.counts import Counts, MacroCounts, RoundedCounts
from kcx_jax.scoring.figures import Averaging, micro
from kcx_jax.scoring.overlaps import exact, of_type, overlapping, partial, strict
from kcx_jax.scoring.text_units import plain, text_measures, verbatim
from kcx_jax.scoring.units import MEASURES, Measure, Unit

STRICT = (
    "A prediction is right when its unit equals a gold unit that no other prediction has used. Spans are "
    "character offsets, found verbatim or after NFC. Every prediction that is not right is a false positive, "
    "also one that is not in the text or of an unknown class; nothing is dropped. Micro over the dataset."
)
OTHER = "Other"
SEMEVAL_RELATIONS = 9

Units = Counter[Unit]
# The gold and the predicted units of one record -> its true positives, false positives, false negatives.
Matching = Callable[[Units, Units], tuple[Units, Units, Units]]


_NONE: Units = Counter()


def consumed(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
    """Multisets: a gold unit makes one prediction right."""
    if dict.__eq__(wanted, given):  # the usual case, told at once
        return wanted, _NONE, _NONE
    right = wanted & given
    return right, given - right, wanted - right


def unconsumed(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
    """A gold unit makes every equal prediction right: false negatives may fall below 0, recall rise above 1."""
    right = Counter({unit: count for unit, count in given.items() if unit in wanted})
    missed = Counter(wanted)
    missed.subtract(right)
    return right, given - right, missed


def accepting(ancestors: Mapping[str, Collection[str]]) -> Matching:
    """As `unconsumed`, and a class is also right where gold has a class that it is an ancestor of."""

    def match(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
        # The class opens both the label and the content of a text unit.
        accepted = {
            (label.replace(content[0], name, 1), (name, *content[1:]))
            for label, content in wanted
            for name in (content[0], *ancestors.get(content[0], ()))
        }
        right = Counter({unit: count for unit, count in given.items() if unit in accepted})
        missed = Counter(wanted)
        missed.subtract(right)
        return right, given - right, missed

    return match


def sets(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
    """Sets: units that are repeated in a record count once."""
    return consumed(Counter(dict.fromkeys(wanted, 1)), Counter(dict.fromkeys(given, 1)))


def sets_with_empty(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
    """Sets; nothing predicted where there is nothing is itself one true positive."""
    if not wanted and not given:
        return Counter({("", ()): 1}), Counter(), Counter()
    return sets(wanted, given)


def micro_rounded(total: Counts, per_type: dict[str, Counts]) -> Counts:
    """The figures of all units together, precision and recall rounded before the F1."""
    return RoundedCounts(total.tp, total.fp, total.fn)


def macro(total: Counts, per_type: dict[str, Counts]) -> Counts:
    """The means over all types that are in gold or predicted."""
    return MacroCounts.over(per_type.values())


def macro_of_nine(total: Counts, per_type: dict[str, Counts]) -> Counts:
    """The means over nine relations, `OTHER` left out; one that is nowhere counts 0. `KcxError` for a tenth."""
    named = [counts for label, counts in per_type.items() if label != OTHER]
    if len(named) > SEMEVAL_RELATIONS:
        labels = ", ".join(label for label in per_type if label != OTHER)
        raise KcxError(
            f"mode semeval2010 knows nine relations and {OTHER}; the records have {len(named)}: {labels}"
        )
    return MacroCounts.over([*named, *[Counts()] * (SEMEVAL_RELATIONS - len(named))])


@dataclass(frozen=True)
class Mode:
    """How one system counts.

    keep_ungrounded: what has no place in the text is a false positive, else dropped; measures over texts count
    entities, relations and triggers that were said more often than the text has them as any others. parts: of an item,
    which are counted.
    """

    name: str
    definition: str
    measures: tuple[Measure, ...]
    matching: Matching = consumed
    averaging: Averaging = micro
    keep_ungrounded: bool = True
    parts: int = 1

    @property
    def counted(self) -> tuple[Task, ...]:
        """The tasks of its measures."""
        return tuple(dict.fromkeys(measure.task for measure in self.measures))

    def check_tasks(self, tasks: Sequence[Task]) -> None:
        """Raise `UsageError` for a task that there is not, or that the mode does not count."""
        for task in tasks:
            if task not in TASKS:
                raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
            if task not in self.counted:
                raise UsageError(
                    f"mode {self.name!r} does not count the task {task!r}; it counts: {', '.join(self.counted)}"
                )


_NER = tuple(m for m in MEASURES if m.name == "ner")
_RE = tuple(m for m in MEASURES if m.name == "re")
_TEXT = text_measures(verbatim, verbatim)
_BOTH = tuple(
    measure
    for text, offset in zip(_TEXT, (m for m in MEASURES if m.name == m.task), strict=True)
    for measure in (offset, replace(text, name=f"{text.name}_string"))
)
_UIE = {
    "uie": (consumed, "A gold unit is used once."),
    "uie_set": (sets, "Units that are repeated in a record count once."),
    "uie_multimatch": (unconsumed, "A gold unit is never used up, so that recall and F1 can exceed 1."),
}
_PLAIN = text_measures(plain, plain, of_labels=plain)

_NERVALUATE = {
    "strict": (strict, "its span and type are equal"),
    "exact": (exact, "its span is equal, whatever the type"),
    "partial": (partial, "its span is equal, half right where it only overlaps, whatever the type"),
    "type": (of_type, "its type is equal, the nearest such span first"),
}

MODES = {
    mode.name: mode
    for mode in (
        Mode("strict", STRICT, MEASURES),
        Mode(
            "text",
            "As strict, but a unit is made of class names and texts: where in the record a text stands does "
            "not matter. Case-sensitive; a repeated unit is wanted as often as gold has it. Micro.",
            _TEXT,
        ),
        Mode(
            "knowcoder",
            "Text tuples, case-sensitive. A gold unit is never used up: every repetition of a right prediction "
            "is right, so recall and F1 can exceed 1 and false negatives fall below 0. What is not in the text "
            "or the schema is dropped first. Ancestors of gold's class are right as well where they are given. Micro.",
            _TEXT,
            unconsumed,
            keep_ungrounded=False,
        ),
        Mode(
            "gollie",
            "Class and text; case folded for entities, sensitive elsewhere; a gold unit is used once. What is "
            "not in the text is dropped first; an argument is right only under a matched trigger. Micro.",
            text_measures(str.casefold, verbatim, attached=True),
            keep_ungrounded=False,
        ),
        Mode(
            "iepile",
            "Text tuples, case-sensitive; a gold unit is used once. Precision and recall, in [0, 1], are rounded "
            "to two decimals before the F1 of the dataset. Micro.",
            _TEXT,
            averaging=micro_rounded,
        ),
        Mode(
            "b2ner",
            "Sets of label and text in folded case, without quotes and without spaces beside punctuation. Micro.",
            _PLAIN,
            sets,
        ),
        Mode(
            "instructuie",
            "As b2ner, and a record with nothing in gold and nothing predicted is one true positive. Micro.",
            _PLAIN,
            sets_with_empty,
        ),
        Mode(
            "multiconer",
            "Sets of entity spans by offset and type; what has no offsets is dropped. Macro: means over all "
            "types that are in gold or predicted.",
            _NER,
            sets,
            macro,
            keep_ungrounded=False,
        ),
        *(
            Mode(
                name,
                "Sets of entity spans by offset and type, as conlleval counts them; what has no offsets is "
                "dropped. Micro. How a broken tag sequence is read (`tag_spans`) is decided before.",
                _NER,
                sets,
                keep_ungrounded=False,
            )
            for name in ("seqeval", "conll")
        ),
        *(
            Mode(
                name,
                "Every task twice: by offset and type, and by text and type (_string), case-sensitive. "
                f"{words} What is not in the text is wrong in both. Micro.",
                _BOTH,
                matching,
            )
            for name, (matching, words) in _UIE.items()
        ),
        Mode(
            "semeval2010",
            "Relations with their direction, by the spans of head and tail. Macro: means over nine relations; "
            "Other is no class of its own, but predicting a relation where gold has Other is wrong.",
            _RE,
            averaging=macro_of_nine,
        ),
        *(
            Mode(
                f"nervaluate_{scheme}",
                "Entities by offset. In the order of the text each prediction takes one free gold span that it "
                f"overlaps, and is right where {words}. A span taken by a wrong prediction is gone. Counts are "
                "in halves of items; what has no offsets is dropped. Micro.",
                _NER,
                overlapping(grade),
                keep_ungrounded=False,
                parts=2,
            )
            for scheme, (grade, words) in _NERVALUATE.items()
        ),
    )
}


def with_ancestors(mode: Mode, ancestors: Mapping[str, Collection[str]]) -> Mode:
    """The mode, accepting ancestors of gold's classes; `UsageError` for one that accepts none."""
    if mode.name != "knowcoder":
        raise UsageError(f"mode {mode.name!r} accepts no ancestors of a class; knowcoder does")
    return replace(mode, matching=accepting(ancestors))


def mode_named(name: str) -> Mode:
    """The mode of that name; `UsageError` for an unknown one."""
    if name not in MODES:
        raise UsageError(f"unknown mode {name!r}; known: {', '.join(MODES)}")
    return MODES[name]
