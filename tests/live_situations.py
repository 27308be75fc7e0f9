"""The six situations in which the live view is drawn, each folded from the lines of a journal.

One burst of 60 s at three times its baseline, on ECS. `python -m tests.live_situations` draws them anew into
`docs/pictures/`.
"""

import dataclasses
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich import console as rich_console

from burst.domain.basics import instants
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.receipts import receipts
from burst.domain.run import journals, runs
from burst.domain.run.events import base, ending_events, launch_events, watch_events
from burst.domain.tasks import tasks
from burst.report import live_screen, live_views
from tests import cases

BEGAN = instants.parse("2026-02-21T02:09:23Z")
GO_SECONDS = 12.0
BASELINE_PER_SECOND = 142.0
"""Three times this, with headroom 1.1, is the rate of the plan."""
RATE = "28116"
TASKS = 4
SIZES = ((80, 24), (120, 40))
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"

SVG_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""
"""As rich has it, without the fonts that it would fetch from elsewhere."""
CHECKS = (
    *("baseline", "rate", "program", "secrets", "runs-folder", "account", "cluster", "task-definition", "network"),
    *("quota", "lease-ttl", "schedule-layer", "evidence-place", "receipts", "scope-freshness", "clock-skew", "canary"),
)


def make_plan() -> plans.Plan:
    """The plan of every situation."""
    lag = cases.observe({"blocker": "M10F-B7", "aggregate": "max", "over": "whole", "at_most": 10}, name="max_lag")
    return cases.plan(
        execution_id="m10_20260221T020923Z_4f7a1c",
        target={**cases.ECS, "tasks": TASKS},
        load={"locustfile": "locustfiles/ingest.py", "host": "http://ingest.internal:8080", "rate": int(RATE)},
        budget={"max": "90m", "operator_cap": "4m", "min_window": "60s"},
        gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": 250, "error_ratio": 0.001},
        observe={**lag, "every": "10s"},
        receipts={"dsn": "env:BURST_TEST_DSN", "bucket": "5s"},
    )


PLAN = make_plan()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event, so many seconds after the run began."""

    seconds: float
    event: base.Event


def at(seconds: float) -> datetime:
    """An instant of the run."""
    return instants.later(BEGAN, seconds)


def fold(lines: Sequence[Line]) -> runs.Run:
    """The run of these lines, read back from the bytes that a journal holds."""
    entries = [
        journals.Entry(sequence=number, at=at(line.seconds), event=line.event)
        for number, line in enumerate(sorted(lines, key=lambda line: line.seconds), start=1)
    ]
    content = b"".join(map(journals.line, entries))
    return journals.fold(journals.parse(content, "journal.jsonl"))


def start() -> Iterator[Line]:
    """From the first line to the launch, whose tasks get ready one after the other."""
    yield Line(
        seconds=0,
        event=launch_events.RunCreated(
            schema=document_names.JOURNAL_SCHEMA,
            minor=document_names.JOURNAL_MINOR,
            execution_id=str(PLAN.execution_id),
            scope=PLAN.scope,
            plan_sha256="0" * 64,
            deadline=at(240),
            early_stop=True,
            barrier=True,
        ),
    )
    for layer in ("guard", "lease", "schedule", "controller"):
        yield Line(seconds=0.5, event=launch_events.LayerArmed(layer=layer, detail=""))
    yield Line(seconds=0.6, event=launch_events.LayerFailed(layer="sidecar", why="the task definition has none"))
    intent = launch_events.LaunchIntended(token="t", shards=tuple(range(TASKS)), capacity="FARGATE_SPOT")
    yield Line(seconds=1, event=intent)
    launched = tuple(tasks.Task(task_id=f"arn:task/{shard}", shard_index=shard) for shard in range(TASKS))
    yield Line(seconds=1.4, event=launch_events.LaunchAnswered(tasks=launched, failures=()))
    for task in launched:
        status = tasks.TaskStatus.RUNNING if task.shard_index < TASKS - 1 else tasks.TaskStatus.PENDING
        yield Line(seconds=6 + task.shard_index / 2, event=see(task, status))
    for shard in range(TASKS - 2):
        yield Line(seconds=9 + shard, event=launch_events.TaskReady(shard_index=shard))


def see(task: tasks.Task, status: tasks.TaskStatus, stopped_at: datetime | None = None) -> base.Event:
    """What is seen of a task."""
    stopped = stopped_at is not None
    truth = tasks.TaskTruth(
        task=task,
        status=status,
        started_at=at(7) if status is not tasks.TaskStatus.PENDING else None,
        stopped_at=stopped_at,
        exit_code=0 if stopped else None,
        stopped_by=tasks.Layer.LEASE if stopped else None,
    )
    return watch_events.TaskSeen.from_truth(truth)


def burst(seconds: int, admitted: Callable[[int], int] = lambda second: 455 + second % 7 * 5) -> Iterator[Line]:
    """GO, and so many seconds of it: a live count each two seconds, a look at the accounts each five."""
    last = tasks.Task(task_id=f"arn:task/{TASKS - 1}", shard_index=TASKS - 1)
    yield Line(seconds=11, event=see(last, tasks.TaskStatus.RUNNING))
    for shard in (TASKS - 2, TASKS - 1):
        yield Line(seconds=11.2 + shard / 10, event=launch_events.TaskReady(shard_index=shard))
    yield Line(seconds=GO_SECONDS, event=launch_events.GoGiven(go_at=at(GO_SECONDS), tasks=TASKS, planned_tasks=TASKS))
    for second in range(2, seconds + 1, 2):
        counts = receipts.Counts(admit=admitted(second - 2) + admitted(second - 1), duplicate=int(second % 9 == 0))
        window = (at(GO_SECONDS + second - 2), at(GO_SECONDS + second))
        yield Line(
            seconds=GO_SECONDS + second + 0.3,
            event=watch_events.Counted(start=window[0], end=window[1], counts=counts),
        )
    for second in range(5, seconds + 1, 5):
        sent = 468 * second
        look = watch_events.LoadCounted(
            tasks=TASKS, due=sent, in_time=sent - 3, sent=sent, answered=sent - 20, unsuccessful=second // 20,
            late_tasks=int(second > 20), p95_ms=38.0 + second % 15 * 4,
        )  # fmt: skip
        yield Line(seconds=GO_SECONDS + second + 0.4, event=look)
    for second in range(0, seconds, 10):
        asked = at(GO_SECONDS + second)
        sample = watch_events.SampleTaken(
            series="max_lag", asked_at=asked, answered_at=asked, of=None, value=3 + second // 20, scope=None, detail=""
        )
        yield Line(seconds=GO_SECONDS + second + 0.1, event=sample)


def end(seconds: float, stopped: int) -> Iterator[Line]:
    """The stop at the window's end, of which so many tasks were seen to end."""
    stop = ending_events.StopIntended(reason="window-complete", force=False, early_stop=None)
    yield Line(seconds=seconds, event=stop)
    for shard in range(stopped):
        task = tasks.Task(task_id=f"arn:task/{shard}", shard_index=shard)
        ended = at(seconds + 0.5 + shard / 10)
        yield Line(seconds=seconds + 1 + shard / 10, event=see(task, tasks.TaskStatus.STOPPED, ended))


def preflight() -> tuple[live_views.Situation, datetime]:
    """Checks are being asked, one warns."""
    state = live_views.PreflightProgress.begin(CHECKS)
    for name in CHECKS[:12]:
        status = findings.FindingStatus.WARNING if name == "quota" else findings.FindingStatus.PASSED
        seen = "the quota could not be read: AccessDenied" if name == "quota" else ""
        state = state.answer(name, [findings.Finding(check=name, status=status, seen=seen)])
    state = dataclasses.replace(state, waiting="receipts, canary")
    return live_views.Situation(plan=PLAN, preflight=state), at(-3)


def starting() -> tuple[live_views.Situation, datetime]:
    """Two of four tasks wait at the barrier."""
    return _of(fold([*start()]), due=("giving up on tasks that are not ready", at(61))), at(10.5)


def bursting() -> tuple[live_views.Situation, datetime]:
    """A good burst, in the middle of its window."""
    run = fold([*start(), *burst(38)])
    return _of(run, due=("window complete", at(GO_SECONDS + 60))), at(GO_SECONDS + 39)


def blind() -> tuple[live_views.Situation, datetime]:
    """The control plane does not answer, and the database neither, while the rate had fallen."""
    lines = [*start(), *burst(30, lambda second: 460 if second < 22 else 120)]
    lines.append(Line(seconds=GO_SECONDS + 31, event=watch_events.Blind(why="ecs:DescribeTasks: no answer in 5 s")))
    lines.append(Line(seconds=GO_SECONDS + 33, event=watch_events.CountBlind(why="connection refused")))
    return _of(fold(lines), due=("window complete", at(GO_SECONDS + 60))), at(GO_SECONDS + 44)


def stopping() -> tuple[live_views.Situation, datetime]:
    """The window is complete, and two of the tasks were seen to stop."""
    run = fold([*start(), *burst(60), *end(GO_SECONDS + 60, 2)])
    return _of(run, due=("killing what still runs", at(GO_SECONDS + 90))), at(GO_SECONDS + 62)


def hold() -> tuple[live_views.Situation, datetime]:
    """A finished run whose multiplier was missed."""
    lines = [*start(), *burst(60, lambda second: 460 if second < 30 else 260), *end(GO_SECONDS + 60, TASKS)]
    counted = ending_events.Measured(counts=receipts.Counts(admit=21640, duplicate=6), rounds=2, settled=True)
    lines.append(Line(seconds=GO_SECONDS + 68, event=counted))
    lines.append(Line(seconds=GO_SECONDS + 70, event=ending_events.RunFinished(exit_code=3, why="M10F-B1 is open")))
    missed = cases.metrics(counts={"ADMIT": 15737, "DUPLICATE": 6, "QUARANTINE": 0, "other": 0})
    snapshot = cases.passing().having(metrics=missed).verdict().snapshot
    return dataclasses.replace(_of(fold(lines)), snapshot=snapshot), at(GO_SECONDS + 71)


def _of(run: runs.Run, due: tuple[str, datetime] | None = None) -> live_views.Situation:
    return live_views.Situation(plan=PLAN, run=run, baseline_per_second=BASELINE_PER_SECOND, next_due=due)


SITUATIONS: dict[str, Callable[[], tuple[live_views.Situation, datetime]]] = {
    "preflight": preflight,
    "starting": starting,
    "bursting": bursting,
    "blind": blind,
    "stopping": stopping,
    "hold": hold,
}


def build(name: str) -> live_views.LiveView:
    """The view of a situation."""
    situation, now = SITUATIONS[name]()
    return live_views.build(situation, now)


def find_text(name: str, columns: int, rows: int) -> Path:
    """The file with the text of a picture."""
    return PICTURES / f"live-{name}-{columns}x{rows}.txt"


def draw_all(folder: Path) -> None:
    """Every picture as text, and those of the smaller size as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SITUATIONS:
        for columns, rows in SIZES:
            console = rich_console.Console(
                file=io.StringIO(),
                width=columns,
                height=rows,
                record=True,
                force_terminal=True,
                color_system="truecolor",
            )
            console.print(live_screen.LiveScreen(build(name)))
            text = console.export_text(clear=False)
            lines = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
            (folder / find_text(name, columns, rows).name).write_text(lines)
            if (columns, rows) == SIZES[0]:
                title = f"burst run: {name}"
                (folder / f"live-{name}.svg").write_text(
                    console.export_svg(title=title, unique_id=f"live-{name}", code_format=SVG_FORMAT)
                )


if __name__ == "__main__":
    draw_all(PICTURES if len(sys.argv) < 2 else Path(sys.argv[1]))
