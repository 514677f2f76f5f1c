"""What each model of a run made of a case for people: its draft, made anew from the ledger without a call."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kcx_jax.llm import ChatClient, Ledger, LoopThread, NotAnswered
from kcx_jax.parallel.build import LEDGER
from kcx_jax.parallel.checks import Draft
from kcx_jax.parallel.pipeline import translate
from kcx_jax.parallel.run_folder import Case, run_settings


def with_candidates(run_dir: Path, cases: Sequence[Case]) -> list[Case]:
    """The cases with the drafts of all models behind the last one, each different draft once.

    Raises `KcxError` when `run_dir` holds no run.
    """
    config = run_settings(run_dir)
    with Ledger(run_dir / LEDGER, readonly=True) as ledger, LoopThread() as loop:
        clients = [ChatClient(**model, ledger=ledger, offline=True) for model in config["models"]]
        return [loop.submit(_with_drafts(case, config["target"], clients)).result() for case in cases]


async def _with_drafts(case: Case, target: str, clients: Sequence[ChatClient]) -> Case:
    found = list(case.candidates)
    for client in clients:
        draft = await _draft(case, target, client)
        if draft is not None and draft not in found:
            found.append(draft)
    return replace(case, candidates=tuple(found))


async def _draft(case: Case, target: str, client: ChatClient) -> Draft | None:
    try:
        return (await translate(case.record, target, [client])).draft
    except NotAnswered:
        return None  # this model was not asked, or not to the end
