"""Runs of a phase one after the other, a day each, as a controller leaves them, for the tests of promotions."""

from pathlib import Path
from typing import Any

from burst.domain.basics import windows
from burst.domain.documents import attempts, document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import blocks, promotions
from tests import cases
from tests.evidence import evidencing

DAY_SECONDS = 86_400.0
STEADY = (100_000, 104_000, 99_000, 101_000, 103_000)
"""Percentiles of five runs, in microseconds, that are alike."""
DRIFT = tuple(round(100_000 * 1.08**number) for number in range(5))
"""Percentiles that grow by 8 % from run to run."""


def name_run(number: int) -> str:
    """The execution id of a run; a higher number is a later one."""
    return evidencing.run_id(number)


def make_case(
    number: int,
    p95_us: int,
    *,
    admits: int = cases.ENOUGH_ADMITS,
    attempt: cases.Value | None = None,
    name: str | None = None,
    **plan_changes: Any,
) -> cases.Case:
    """The run of a day, whose answers took `p95_us` all, and which admitted so many."""
    execution_id, offset = name or name_run(number), number * DAY_SECONDS
    plan = cases.plan(execution_id=execution_id, **plan_changes)
    ids: cases.Value = {"execution_id": execution_id, "platform_run_id": plan.scope}
    times: cases.Value = {"started_utc": cases.at(offset), "stopped_utc": cases.at(offset + 990)}
    tasks = [cases.task(index, **times) for index in range(2)]
    accounts: cases.Value = {"first_utc": cases.at(offset + 60), "last_utc": cases.at(offset + 961)}
    load = cases.load(**accounts) | ids | {"latency": [{"up_to_us": p95_us, "count": 18_000}]}
    given = cases.passing().under(plan)
    given = given.having(
        task_result=cases.task_result(**ids, **times, tasks=tasks),
        metrics=cases.metrics(**ids, window=cases.window(offset + 60), counts=cases.counts(admits)),
        facts=cases.facts(**ids),
        load=load,
    )
    return given.having(attempt=attempt | ids) if attempt is not None else given


def make_run(runs: Path, number: int, p95_us: int, *, name: str | None = None, **changes: Any) -> Path:
    """The folder of that run."""
    documents = evidencing.published(make_case(number, p95_us, name=name, **changes))
    return evidencing.folder(runs, name or name_run(number), documents)


def make_block(runs: Path, percentiles: tuple[int, ...], *, first: int = 1, **changes: Any) -> list[Path]:
    """The folders of runs on consecutive days."""
    return [make_run(runs, first + number, p95_us, **changes) for number, p95_us in enumerate(percentiles)]


def earlier(number: int, verdict: str | None = "PASS", contract: str = "0" * 64) -> cases.Value:
    """A run among the attempts before another."""
    sha256 = None if verdict is None else f"{number:064x}"
    return {"execution_id": name_run(number), "verdict": verdict, "sha256": sha256, "contract": contract}


SNAPSHOT = document_names.snapshot_name("m10_f", catalogues.Kind.BURST)


def judge_block(percentiles: tuple[int, ...]) -> promotions.Promotion:
    """The promotion, or the refusal, of runs with these percentiles, in microseconds."""
    block = [
        blocks.BlockRun(
            execution_id=name_run(number),
            scope=cases.SCOPE,
            snapshot=SNAPSHOT,
            sha256=f"{number:064x}",
            passed=True,
            contract="a" * 64,
            setting={"environment": "ci"},
            window=windows.Window(cases.moment(number * DAY_SECONDS), cases.moment(number * DAY_SECONDS + 900)),
            value=p95_us / 1000,
            samples=18_000,
            attempt=number,
            claimed="0" * 64,
            earlier=tuple(attempts.EarlierAttempt.model_validate(earlier(before)) for before in range(1, number)),
        )
        for number, p95_us in enumerate(percentiles, start=1)
    ]
    terms = blocks.BlockTerms(
        phase="M10.F", gate="latency_p95_ms", measure="latency_p95", unit="ms", samples_at_least=72
    )
    return blocks.judge(block, terms, None)
