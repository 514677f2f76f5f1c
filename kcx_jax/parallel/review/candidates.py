"""What each model of a run made of a case for people: its draft, made anew from the ledger without a call."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kcx_jax.llm import ChatClient, LoopThread, NotAnswered
from kcx_jax.parallel.review.cases import Case
from kcx_jax.parallel.runs.run import Run
from kcx_jax.parallel.runs.settings import Settings
from kcx_jax.parallel.translation.checks import Draft
from kcx_jax.parallel.translation.pipeline import translate


def with_candidates(run: Run, target: str, cases: Iterable[Case]) -> list[Case]:
    """The cases with the drafts of all models behind the last one, each different draft once."""
    with LoopThread() as loop:
        clients = [ChatClient(**model, ledger=run.ledger, offline=True) for model in run.config["models"]]
        options = Settings(**run.config["translation"]).options()
        return [loop.submit(_with_drafts(case, target, clients, options)).result() for case in cases]


async def _with_drafts(
    case: Case, target: str, clients: Sequence[ChatClient], options: dict[str, Any]
) -> Case:
    found = list(case.candidates)
    for client in clients:
        draft = await _draft(case, target, client, options)
        if draft is not None and draft not in found:
            found.append(draft)
    return replace(case, candidates=tuple(found))


async def _draft(case: Case, target: str, client: ChatClient, options: dict[str, Any]) -> Draft | None:
    try:
        return (await translate(case.record, target, [client], **options)).draft
    except NotAnswered:
        return None  # this model was not asked, or not to the end
