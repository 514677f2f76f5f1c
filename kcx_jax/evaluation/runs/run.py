"""The run: every system of a config asked about every benchmark, resumable at any record, and the table of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from kcx_jax.corpora import read_records, write_records
from kcx_jax.corpora.jsonl import read_json_lines, write_json_lines
from kcx_jax.errors import BudgetExceeded, KcxError, UsageError
from kcx_jax.evaluation.runs.benchmark import Benchmark, NotThere, load_benchmark
from kcx_jax.evaluation.runs.config import BenchmarkSettings, ChatSystem, EvaluateConfig, SystemSettings
from kcx_jax.evaluation.runs.folder import Results, deciding
from kcx_jax.evaluation.runs.outputs import Outputs
from kcx_jax.evaluation.runs.report import write_report
from kcx_jax.evaluation.runs.resolving import resolved
from kcx_jax.evaluation.runs.scores import scores_json, unanswered
from kcx_jax.evaluation.runs.systems import CannotAnswer, NotInstalled, System, needing_packages, open_system
from kcx_jax.evaluation.runs.table import check_rows, make_table, write_table
from kcx_jax.extraction.resume import ResumableOutput
from kcx_jax.files import digest
from kcx_jax.llm import EndpointError, Stopped
from kcx_jax.schema import Task
from kcx_jax.schema.ontology import ontology_version
from kcx_jax.scoring.tally import is_annotated

Say = Callable[[str], None]
# What is being answered, how many records are done, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass
class Outcome:
    """What a run did: records answered by it, and why cells are not there, by (system, benchmark, task).

    `failed` are those of the reasons that are no matter of what a system is made for.
    """

    folder: Path
    answered: int = 0
    not_run: dict[tuple[str, str, Task], str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


def evaluate(
    config: EvaluateConfig,
    *,
    data: str | None = None,
    shard: tuple[int, int] | None = None,
    say: Say = lambda line: None,
    progress: Progress = lambda what, done, total: None,
) -> Outcome:
    """Run `config`, or go on with it: what is in its folder is not asked again.

    What cannot be run (a file that is not there, a text that does not fit) is a cell "not run" with its reason; the
    rest goes on. The table and the report are written at the end, by one process: with `shard` (part, parts) this one
    answers its part of the (system, benchmark) pairs, and a later call without it writes them.

    Raises `UsageError` and `KcxError` for a config that cannot be, for a folder of another one and for data that
    changed, and `BudgetExceeded`, the work so far being kept.
    """
    part, parts = shard or (0, 1)
    if parts > 1:
        _refuse_budgets(config)
    config = resolved(config, data)
    check_rows(config)
    results = Results(config.results)
    results.claim(config)
    run = _Run(config, results, Outcome(results.root), say, progress)
    run.prepare()
    pairs = [(system, benchmark) for system in config.systems for benchmark in config.benchmarks]
    wanted = {(s.name, b.name) for i, (s, b) in enumerate(pairs) if i % parts == part}
    for system in config.systems:
        if benchmarks := [b for b in config.benchmarks if (system.name, b.name) in wanted]:
            run.ask(system, benchmarks)
    if shard is None:
        write_table(make_table(config, results, run.outcome.not_run), results)
        write_report(results.root, say)
    return run.outcome


def _refuse_budgets(config: EvaluateConfig) -> None:
    """Raise `UsageError` for a budget: shards do not see what the others spend, so each would spend it once more."""
    for number, system in enumerate(config.systems):
        if isinstance(system, ChatSystem) and system.budget is not None:
            raise UsageError(
                f"{system.name}: a budget is one for all benchmarks, and shards cannot share it. Run without --shard, "
                f"or without a budget: --set systems.{number}.budget=null"
            )


class _Run:
    def __init__(
        self, config: EvaluateConfig, results: Results, outcome: Outcome, say: Say, progress: Progress
    ):
        self.config, self.results, self.outcome = config, results, outcome
        self.say, self.progress = say, progress
        self.missing: dict[str, str] = {}  # benchmarks that cannot be asked, with the reason

    def prepare(self) -> None:
        """Put down the records of every benchmark, and that their source is what it was."""
        for settings in self.config.benchmarks:
            try:
                benchmark = self._load(settings)
            except KcxError as error:
                if self.results.gold(settings.name).exists():
                    raise
                self.missing[settings.name] = str(error)
                continue
            facts: dict[str, Any] = {"sha256": digest(benchmark.path), "records": len(benchmark.gold)}
            if benchmark.train is not None and benchmark.train.exists():
                facts["train_sha256"] = digest(benchmark.train)
            if settings.schema_path is not None:
                facts["schema_sha256"] = digest(Path(settings.schema_path))
            if settings.inventory is not None:
                facts["ontology"] = ontology_version(settings.inventory)
            self.results.note("benchmarks", settings.name, facts)
            path = self.results.gold(settings.name)
            if not path.exists():
                write_records(benchmark.gold, path, overwrite=True)  # another shard may be as far

    def _load(self, settings: BenchmarkSettings) -> Benchmark:
        return load_benchmark(settings, self.config.data, self.config.seed)

    def ask(self, settings: SystemSettings, benchmarks: list[BenchmarkSettings]) -> None:
        """Everything that a system is asked, and its scores."""
        reason = ""
        with open_system(settings, self.config, self.results.system(settings.name)) as system:
            try:
                with needing_packages(settings):
                    self.results.note("systems", settings.name, system.facts())
            except KcxError as error:
                known = any(self.results.system(settings.name).glob("*/*.records.jsonl"))
                if known and not isinstance(error, NotInstalled):
                    raise
                reason = str(error)
            for each in benchmarks:
                if each.name in self.missing:
                    for task in each.tasks or ("ner",):
                        self._note(settings, each.name, task, KcxError(self.missing[each.name]))
                    continue
                reason = self._benchmark(system, settings, self._load(each), reason)

    def _benchmark(
        self, system: System, settings: SystemSettings, benchmark: Benchmark, reason: str = ""
    ) -> str:
        """Answers and scores of one benchmark; gives the reason where the system cannot go on with others.

        With a `reason` it cannot be asked any more: what was answered before is scored.
        """
        name, done = benchmark.settings.name, {}
        for task in benchmark.settings.tasks or ():
            try:
                if task not in benchmark.tasks:
                    if any(is_annotated(record, task) for record in benchmark.whole):
                        raise CannotAnswer(f"{name}: none of the records drawn is annotated for {task}")
                    raise NotThere(f"{name}: {benchmark.path} is not annotated for {task}")
                if not self._answered(system, settings, benchmark, task):
                    if reason:
                        raise KcxError(reason)
                    with needing_packages(settings):
                        self._answer(system, settings, benchmark, task)
                done[task] = self.results.records(settings.name, name, task)
            except (BudgetExceeded, Stopped):
                raise
            except KcxError as error:
                self._note(settings, name, task, error)
                reason = str(error) if isinstance(error, EndpointError) else reason
        self._score(settings, benchmark, done)
        return reason

    def _score(self, settings: SystemSettings, benchmark: Benchmark, done: dict[Task, Path]) -> None:
        """Score what was answered, unless all of it is; what cannot be scored is not run."""
        name = benchmark.settings.name
        if not done or list(self.results.scored(settings.name, name).get("tasks", ())) == list(done):
            return
        try:
            mode = benchmark.settings.mode or self.config.mode
            scores = scores_json(benchmark, done, mode, self.config.samples)
        except KcxError as error:
            for task in done:
                self._note(settings, name, task, error)
        else:
            self.results.write_json(self.results.scores(settings.name, name), scores)

    def _note(self, settings: SystemSettings, benchmark: str, task: Task, error: KcxError) -> None:
        self.outcome.not_run[settings.name, benchmark, task] = str(error)
        if not isinstance(error, CannotAnswer):
            if str(error) not in self.outcome.failed:
                self.say(f"not run: {settings.name}, {benchmark}, {task}: {error}")
            self.outcome.failed.add(str(error))

    def _answered(self, system: System, settings: SystemSettings, benchmark: Benchmark, task: Task) -> bool:
        """Whether the records are there; those of a chat model are not while a question of them has no answer.

        Raises `KcxError` for records of a file that changed since.
        """
        name = benchmark.settings.name
        path = self.results.records(settings.name, name, task)
        if not path.exists():
            return False
        if isinstance(system, Outputs) and (source := system.path(benchmark, task)).exists():
            self.results.note("outputs", f"{settings.name}/{name}/{task}", {"sha256": digest(source)})
        return not (isinstance(settings, ChatSystem) and unanswered(read_records(path, "jsonl"), task))

    def _take(self, system: Outputs, settings: SystemSettings, benchmark: Benchmark, task: Task) -> None:
        """Keep the records of another system's file, and which file it was."""
        name, source = benchmark.settings.name, system.path(benchmark, task)
        read = digest(source) if source.exists() else ""
        path = self.results.records(settings.name, name, task)
        found = [each.record for each in system.predict(benchmark, task, path.parent, benchmark.asked(task))]
        self.results.note("outputs", f"{settings.name}/{name}/{task}", {"sha256": read}, anew=True)
        self.results.scores(settings.name, name).unlink(missing_ok=True)  # they are of other records
        self.outcome.answered += write_records(found, path)

    def _answer(self, system: System, settings: SystemSettings, benchmark: Benchmark, task: Task) -> None:
        """Ask for what is not answered; what was asked before stays until all of it is there."""
        if isinstance(system, Outputs):
            self._take(system, settings, benchmark, task)
            return
        name, records = benchmark.settings.name, benchmark.asked(task)
        path = self.results.records(settings.name, name, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"system": deciding(settings), "benchmark": deciding(benchmark.settings), "task": task}
        what = f"{settings.name}: {name} {task}"
        with ResumableOutput(path, header, overwrite=path.exists()) as output:
            pending, count = output.remaining(iter(records)), output.done
            self.progress(what, count, len(records))
            for each in system.predict(benchmark, task, path.parent, pending):
                row = each.record.to_json()
                row["meta"] = {**each.record.meta, "answers": {task: each.answer}}
                output.write(row)
                count += 1
                self.outcome.answered += 1
                self.progress(what, count, len(records))
            if count != len(records):
                raise KcxError(f"{what}: {count} answers to {len(records)} records")
            raw = self.results.answers(settings.name, name, task)
            write_json_lines(_raw_rows(output.partial, task), raw, overwrite=True)
            self.results.scores(settings.name, name).unlink(missing_ok=True)  # they are of other records
            output.finish()


def _raw_rows(partial: Path, task: Task) -> Iterator[dict[str, Any]]:
    """The raw answers in a file of results whose first line is its header."""
    for _, row in islice(read_json_lines(partial), 1, None):
        yield {"id": row["id"], "task": task, "output": row["meta"]["answers"][task]}
