"""Effects: paired by seed and sentence, reproducible, and as wide as seeds and sentences make them."""

from random import Random

import pytest

from kcx_jax.demo.replication import COMPARISONS, GROUPS, READ, SYSTEMS, effects, tables
from kcx_jax.demo.replication.comparison import Comparison
from kcx_jax.errors import UsageError
from kcx_jax.schema import TASKS

SENTENCES = 60
SAMPLES = 200


def run_with(chances: list[float]) -> dict:
    """A run that finds the one item of sentence n with the n-th chance, the same draw for every call."""
    rng = Random(3)
    draws = {(la, task): [rng.random() for _ in chances] for la in READ for task in TASKS}
    counts = {
        la: {
            task: [
                [1, 0, 0] if draw < c else [0, 1, 1] for c, draw in zip(chances, draws[la, task], strict=True)
            ]
            for task in TASKS
        }
        for la in READ
    }
    return {"counts": {"constrained": counts, "free": counts}}


@pytest.fixture(scope="module")
def runs() -> dict:
    worse, better = run_with([0.4] * SENTENCES), run_with([0.7] * SENTENCES)
    return {
        system: dict.fromkeys(range(3), better if system == "stages 1 + 2" else worse) for system in SYSTEMS
    }


def test_a_plain_difference_is_found_in_every_group_and_task(runs):
    found = effects(COMPARISONS[0], runs, SAMPLES)
    assert list(found) == list(GROUPS)
    for by_task in found.values():
        for effect in by_task.values():
            low, high = effect.interval_95
            assert 0 < low < effect.mean < high
            assert effect.detectable == pytest.approx(2.8 * effect.standard_error)
    assert effects(COMPARISONS[0], runs, SAMPLES) == found


def test_a_system_does_not_differ_from_itself(runs):
    same = Comparison("?", "stage 2", "stage 2", "free")
    for by_task in effects(same, runs, SAMPLES).values():
        for effect in by_task.values():
            assert (effect.mean, effect.interval_95, effect.standard_error) == (0, (0, 0), 0)


def test_the_order_of_systems_turns_the_sign(runs):
    one = effects(COMPARISONS[0], runs, SAMPLES)["unseen"]["ner"]
    turned = effects(Comparison("?", "stages 1 + 2", "stage 2", "constrained"), runs, SAMPLES)
    other = turned["unseen"]["ner"]
    assert other.mean == -one.mean
    assert other.interval_95 == pytest.approx((-one.interval_95[1], -one.interval_95[0]))


def test_seeds_that_disagree_make_the_interval_wider(runs):
    better, worse = runs["stages 1 + 2"][0], runs["stage 2"][0]
    apart = {"stage 2": dict.fromkeys(range(3), worse), "stages 1 + 2": {0: better, 1: worse, 2: worse}}
    agreed = effects(COMPARISONS[0], runs, SAMPLES)["unseen"]["ner"]
    effect = effects(COMPARISONS[0], apart, SAMPLES)["unseen"]["ner"]
    assert effect.standard_error > 2 * agreed.standard_error
    assert effect.mean == pytest.approx(agreed.mean / 3)
    assert set(effect.by_seed) == {0, 1, 2}


def test_only_seeds_that_both_systems_have_are_compared(runs):
    some = {**runs, "stages 1 + 2": {2: runs["stages 1 + 2"][2]}}
    assert set(effects(COMPARISONS[0], some, SAMPLES)["tuned"]["re"].by_seed) == {2}
    with pytest.raises(UsageError, match="no seed in common"):
        effects(COMPARISONS[0], {**runs, "stage 2": {}}, SAMPLES)


def test_tables_show_every_question_group_and_system(runs):
    text = tables(runs, {each: effects(each, runs, SAMPLES) for each in COMPARISONS})
    for each in COMPARISONS:
        assert text.count(each.question) == 1
    assert text.count("| unseen (es, qaa, qab, qac) |") == len(COMPARISONS) * len(TASKS)
    assert text.count("| stage 2, JSON answers, free |") == len(TASKS)
