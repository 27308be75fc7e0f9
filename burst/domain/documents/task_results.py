"""The task result: each task with its start, its end and the layer that ended it; the layers and outages of a run."""

from typing import Annotated, Literal

import pydantic

from burst.domain.basics import windows
from burst.domain.documents import models

TASKS_ENDED = "tasks-ended"
"""The stop reason of a burst whose tasks had all ended before it was stopped."""
HALTED = "halted"
"""The stop reason of a run under a run control that was halted."""
ALARM = "alarm"
"""The stop reason of a run that an alarm or a fact of its plan's `stop_when` stopped."""
TASK_LOST = "task-lost"
"""The rule of an early stop for want of a task that had ended."""


class TaskEntry(models.Model):
    """One task. `stopped_utc` None: nobody has seen it end. `stopped_by` None: no layer ended it.

    `stopped_utc` is the latest end that the evidence allows, `load_ended_utc` the earliest end of its load. `asked_by`
    None: nobody of this run was seen to ask for the end.

    An unknown value is null, and never left out: a field that is missing would read like one that is none.
    """

    id: str
    shard_index: int | None = None
    started_utc: models.Instant | None
    stopped_utc: models.Instant | None
    stop_code: str | None
    exit_code: int | None
    stopped_by: str | None
    detail: models.Words = ""
    ended_by: str | None = None
    """What ended it: its program, its guard's budget, the lease, a signal and so on."""
    asked_by: str | None = None
    asked_utc: models.Instant | None = None
    load_ended_utc: models.Instant | None = None
    end_source: str | None = None
    """The evidence of `load_ended_utc`: its guard's record, or what the platform says of container or task."""
    dropped: models.Words | None = None
    """Why the burst began without it, and another task may have taken its place; None for a task of the burst."""


class LayerEntry(models.Model):
    """One layer of the hard stop: armed or not, and what it stopped."""

    name: str
    state: Literal["armed", "fired", "not-armed"]
    detail: models.Words = ""


class Outage(models.Model):
    """A time in which the launcher could not see the tasks."""

    blind_since_utc: models.Instant
    sight_regained_utc: models.Instant | None = None
    detail: models.Words = ""


class CountBlindness(models.Model):
    """A time in which no live count came, so that no rule of early stop that needs counts could act. `until_utc` None:
    to the end."""

    since_utc: models.Instant
    until_utc: models.Instant | None = None
    why: models.Words


class EarlyStop(models.Model):
    """Why the burst was ended before its window was complete, and what that saved."""

    rule: str
    at_utc: models.Instant
    receipts_seen: models.Count
    seconds_saved: float
    detail: models.Words = ""


class HaltEntry(models.Model):
    """The halt of run control that stopped the run: where it stands, by whom and why; when the run met it."""

    place: str
    reason: models.Words
    by: models.Words
    since_utc: models.Instant
    at_utc: models.Instant


class StopSignEntry(models.Model):
    """The alarm or fact of `stop_when` that stopped the run, by ARN or name, and its answer."""

    sign: str
    value: models.Value
    at_utc: models.Instant
    detail: models.Words = ""


class UnclearSign(models.Model):
    """A time in which an alarm, a fact or the halt could not be read, or said nothing. `until_utc` None: to the end."""

    sign: str
    since_utc: models.Instant
    until_utc: models.Instant | None = None
    detail: models.Words = ""


class Interruption(models.Model):
    """A signal that ended the run."""

    signal: Literal["SIGINT", "SIGTERM", "SIGHUP"]
    at_utc: models.Instant


class OneShotEntry(models.Model):
    """One command before or after the burst, or of a drill. `problem` None: it ended as it should.

    `id` None: it was never started. `stopped_utc` None where there is an id: nobody has seen it end.
    """

    name: str
    when: Literal["before", "after", "during", "undo"]
    id: str | None = None
    started_utc: models.Instant | None = None
    stopped_utc: models.Instant | None = None
    stop_code: str | None = None
    exit_code: int | None = None
    required_exit_code: int = 0
    stopped_by: str | None = None
    problem: models.Words | None = None


class ServiceEntry(models.Model):
    """One service that was scaled for the burst. `restored`: it no longer is; else `command` puts it back."""

    name: str
    before: models.Count
    desired: models.Count
    restored: bool
    detail: models.Words = ""
    command: str | None = None
    definition_before: str | None = None
    """The ARN of its task definition before the burst; None where it was not rolled."""
    definition: str | None = None
    """That for the burst."""


class DrillEntry(models.Model):
    """The fault of one drill: when it was intended, caused and over. `problem` None: it was caused as it should be.

    `intended_utc` None: it was never begun. `over_utc` None: nobody saw it come to its end: its command did not end, or
    its service did not have its new tasks.
    """

    name: str
    service: str | None
    planned_utc: models.Instant | None
    intended_utc: models.Instant | None
    struck_utc: models.Instant | None
    over_utc: models.Instant | None
    exit_code: int | None = None
    """Of its command."""
    tasks_before: models.Count | None = None
    """How many tasks its service had before; None of a command."""
    replaced_task_count: models.Count | None = None
    """How many of those run no more."""
    problem: models.Words | None = None
    undone: bool
    """Whether nothing of it is left to take back."""
    undo_problem: models.Words | None = None
    undo_command: list[str] = []
    """The command that takes it back, where it has one."""

    @property
    def caused(self) -> bool:
        """Whether the fault was caused as the plan asks, and came to its end."""
        return self.problem is None and self.intended_utc is not None and self.over_utc is not None


class JournalPrefix(models.Model):
    """The journal as it stood when the task result was frozen: its first `size` bytes and their digest."""

    size: models.Count
    sha256: models.Digest


class TaskResult(models.Model):
    """`{slug}_task_result.json`. First task start to last task stop; `go_utc` is when the barrier opened."""

    schema_: Annotated[Literal["burst.task-result/v1"], pydantic.Field(alias="schema")] = "burst.task-result/v1"
    execution_id: str
    platform_run_id: str
    started_utc: models.Instant | None
    stopped_utc: models.Instant | None
    tasks: list[TaskEntry]
    command: list[str] = []
    """The words of the command line that began the run, without secrets; none where they are not known."""
    planned_tasks: models.Count | None = None
    go_tasks: models.Count | None = None
    """How many tasks GO was given to; None where it was not given, or the journal does not say."""
    ready_tasks: models.Count | None = None
    """How many tasks were ready when the run was stopped before GO."""
    launched_utc: models.Instant | None = None
    """When the launch of the tasks began."""
    stop_decided_utc: models.Instant | None = None
    """When the run began to stop."""
    stop_detail: models.Words | None = None
    """The reason of the stop in the words of what caused it, where `stop_reason` does not hold them."""
    go_utc: models.Instant | None = None
    deadline_utc: models.Instant | None = None
    elapsed_seconds: float | None = None
    overshoot_seconds: float | None = None
    stop_reason: str | None = None
    stop_asked_utc: models.Instant | None = None
    """When this run first asked its tasks to end."""
    load_accounts: models.Count | None = None
    """How many tasks left a load account; None where nobody looked for one."""
    count_problem: models.Words | None = None
    """Why the receipts of the attempt window were not counted, where they were not."""
    layers: list[LayerEntry] = []
    worst_end_seconds: dict[str, float] = {}
    """How many seconds after the deadline the last process has ended at the latest, by each layer alone."""
    outages: list[Outage] = []
    count_blindnesses: list[CountBlindness] = []
    early_stop: EarlyStop | None = None
    interruption: Interruption | None = None
    halt: HaltEntry | None = None
    stop_sign: StopSignEntry | None = None
    unclear_signs: list[UnclearSign] = []
    one_shots: list[OneShotEntry] = []
    services: list[ServiceEntry] = []
    drills: list[DrillEntry] = []
    journal: JournalPrefix | None = None

    @property
    def burst_tasks(self) -> tuple[TaskEntry, ...]:
        """The tasks without those that had failed before GO."""
        return tuple(task for task in self.tasks if task.dropped is None)

    @property
    def window(self) -> windows.Window | None:
        """First start to last stop over all the document says, None while that is not known."""
        starts = [self.started_utc, *(task.started_utc for task in self.tasks)]
        stops = [self.stopped_utc, *(task.stopped_utc for task in self.tasks)]
        known_starts = [moment for moment in starts if moment is not None]
        known_stops = [moment for moment in stops if moment is not None]
        if not known_starts or not known_stops or min(known_starts) >= max(known_stops):
            return None
        return windows.Window(min(known_starts), max(known_stops))

    @property
    def attempt(self) -> windows.Window | None:
        """The attempt window: from GO, or the first start where there was no barrier, to the last stop.

        Not a moment more than the tasks' own times allow: a claim may lengthen the budget, and never what was counted.
        """
        first = min((task.started_utc for task in self.burst_tasks if task.started_utc is not None), default=None)
        last = max((task.stopped_utc for task in self.burst_tasks if task.stopped_utc is not None), default=None)
        starts = [moment for moment in (self.started_utc, first, self.go_utc) if moment is not None]
        stops = [moment for moment in (self.stopped_utc, last) if moment is not None]
        if not starts or not stops or max(starts) >= min(stops):
            return None
        return windows.Window(max(starts), min(stops))

    @property
    def unproven(self) -> tuple[str, ...]:
        """Ids of tasks, one-shots among them, that nobody has seen end."""
        shots = [(shot.id, shot.stopped_utc) for shot in self.one_shots if shot.id is not None]
        stops = [*((task.id, task.stopped_utc) for task in self.tasks), *shots]
        return tuple(name for name, stopped_utc in stops if stopped_utc is None)

    @property
    def stopped_before_start(self) -> tuple[str, ...]:
        """Ids of tasks whose stop precedes their start, so that one of the two is not true."""
        times = [(task.id, task.started_utc, task.stopped_utc) for task in self.tasks]
        return tuple(name for name, start, stop in times if start is not None and stop is not None and stop < start)

    @property
    def ended_by_its_tasks(self) -> bool:
        """Whether the burst ended because tasks did, or may have: the result names no other cause."""
        if self.early_stop is not None:
            return self.early_stop.rule == TASK_LOST
        return self.stop_reason in (None, TASKS_ENDED)

    @property
    def not_restored(self) -> tuple[ServiceEntry, ...]:
        """Services that are still scaled for the burst."""
        return tuple(service for service in self.services if not service.restored)

    @property
    def not_undone(self) -> tuple[DrillEntry, ...]:
        """Drills whose fault was not taken back."""
        return tuple(drill for drill in self.drills if not drill.undone)
