"""Evaluation while training: the figure is that of the loss, training does not notice it, and the best step stays."""

import signal
from dataclasses import replace
from itertools import pairwise

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import RunStore
from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, read_metrics, train_trees

SETTINGS = tiny_settings(shapes=1, save_every=3, keep=1, evaluate_every=2)
FEW = tiny_trees(samples=4)  # one step holds them all
STAGE = Stage("one", tiny_trees(1), steps=8, validation=FEW)
SCORES = {2: 0.1, 4: 0.9, 6: 0.2, 8: 0.3}


def scripted(scores):
    """A score that looks up the number of its own call."""
    calls = iter(scores)
    return lambda number, result: next(calls)


def test_the_held_out_loss_is_what_training_would_count(silent):
    stage = Stage("one", FEW, steps=5, validation=FEW)
    every = tiny_settings(shapes=1, evaluate_every=1, optimiser={"learning_rate": 1e-2})
    history = train_trees(tiny_model(), [stage], every, report=silent).history
    for before, after in pairwise(history):
        assert before.validation_loss == pytest.approx(after.loss, rel=1e-6)
    assert history[-1].validation_loss < 0.99 * history[0].loss


def test_training_does_not_notice_it_and_the_best_step_is_kept(tmp_path, silent):
    plain = train_trees(tiny_model(), [replace(STAGE, validation=())], SETTINGS, report=silent)
    watched = train_trees(
        tiny_model(), [STAGE], SETTINGS, tmp_path, report=silent, score=scripted(SCORES.values())
    )
    for found, wanted in zip(*map(jax.tree.leaves, (watched.trained, plain.trained)), strict=True):
        np.testing.assert_array_equal(found, wanted)
    lines = read_metrics(tmp_path)
    assert {line["step"]: line["score"] for line in lines if "score" in line} == SCORES
    assert [line["step"] for line in lines if "validation_loss" in line] == [2, 4, 6, 8]
    with RunStore(tmp_path / "checkpoints") as store:
        assert (store.steps(), store.best) == ([4, 8], 4)


def test_a_resumed_run_remembers_what_was_best(tmp_path, silent):
    def report(metrics):
        if metrics.step == 5:
            signal.raise_signal(signal.SIGTERM)

    scores = list(SCORES.values())
    with pytest.raises(KeyboardInterrupt):
        train_trees(tiny_model(), [STAGE], SETTINGS, tmp_path, report=report, score=scripted(scores[:3]))
    done = [line["score"] for line in read_metrics(tmp_path) if "score" in line]
    rest = scripted(scores[len(done) :])
    train_trees(tiny_model(), [STAGE], SETTINGS, tmp_path, resume=True, report=silent, score=rest)
    with RunStore(tmp_path / "checkpoints") as store:
        assert (store.steps(), store.best) == ([4, 8], 4)


def test_without_a_score_the_lowest_loss_is_best(tmp_path, silent):
    other = np.array([3], np.int32)  # no answer ends: the more is learnt, the worse
    never_learnt = [
        replace(tree, branches=tuple(replace(branch, answer=other) for branch in tree.branches))
        for tree in FEW
    ]
    stage = replace(STAGE, validation=never_learnt)
    settings = tiny_settings(
        shapes=1, keep=1, evaluate_every=1, optimiser={"learning_rate": 0.1, "warmup": 0}
    )
    result = train_trees(tiny_model(), [stage], settings, tmp_path, report=silent)
    losses = [metrics.validation_loss for metrics in result.history]
    with RunStore(tmp_path / "checkpoints") as store:
        assert store.best == 1 + losses.index(min(losses))
    assert min(losses) != losses[-1]
