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
    """The task's ARN on ECS, else `local:PID:START`; `unknown:SHARD` where its launch was never answered."""
    shard_index: int | None = None
    """Which part of the load the task had, from 0; None where the document does not say it."""
    started_utc: models.Instant | None
    """When its load program could begin, by its platform; None where nobody saw it start."""
    stopped_utc: models.Instant | None
    """The latest end that the evidence allows; None where nobody has seen it end."""
    stop_code: str | None
    """Why it stopped, as ECS names it, or burst for a local task; None while it is not known to have stopped."""
    exit_code: int | None
    """The exit code of its load container or process; None where there is none, or nobody knows it."""
    stopped_by: str | None
    """The layer of the hard stop that ended it; None where no layer did."""
    detail: models.Words = ""
    """What its platform and its guard's record say of its end."""
    ended_by: str | None = None
    """What ended it: its program, its guard's budget, the lease, a signal and so on."""
    asked_by: str | None = None
    """Who asked for its end: the operator, the controller, or a layer; None where nobody was seen to."""
    asked_utc: models.Instant | None = None
    """When its end was asked for; None where nobody was seen to ask."""
    load_ended_utc: models.Instant | None = None
    """The earliest end of its load that the evidence allows; None where nothing tells."""
    end_source: str | None = None
    """The evidence of `load_ended_utc`: its guard's record, or what the platform says of container or task."""
    dropped: models.Words | None = None
    """Why the burst began without it, and another task may have taken its place; None for a task of the burst."""


class LayerEntry(models.Model):
    """One layer of the hard stop: armed or not, and what it stopped."""

    name: str
    """The layer: guard, sidecar, lease, schedule, sweeper or controller."""
    state: Literal["armed", "fired", "not-armed"]
    """`fired` where it ended a task, `armed` where it stood ready before the launch, else `not-armed`."""
    detail: models.Words = ""
    """The tasks that it ended, or why it was not armed; empty where it only stood ready."""


class Outage(models.Model):
    """A time in which the launcher could not see the tasks."""

    blind_since_utc: models.Instant
    """When the launcher could no longer see the tasks, by the controller's clock."""
    sight_regained_utc: models.Instant | None = None
    """When it saw them again; None where it did not."""
    detail: models.Words = ""
    """The error of the first look that failed."""


class CountBlindness(models.Model):
    """A time in which no live count came, so that no rule of early stop that needs counts could act. `until_utc` None:
    to the end."""

    since_utc: models.Instant
    """When it was seen that a slice could not be counted, by the controller's clock: a few seconds after it was due."""
    until_utc: models.Instant | None = None
    """When a slice was counted again; None where none was until the end."""
    why: models.Words
    """Why slices could not be counted: the first error, and behind "; later:" further ones of another kind."""


class EarlyStop(models.Model):
    """Why the burst was ended before its window was complete, and what that saved."""

    rule: str
    """The rule that fired, such as `no-receipts`, `load-withheld` or `task-lost`."""
    at_utc: models.Instant
    """When the controller decided to stop, by its clock."""
    receipts_seen: models.Count
    """Receipts that the live counts had found by then, whatever their decision."""
    seconds_saved: float
    """How much of the declared window was left then."""
    detail: models.Words = ""
    """The figures that the rule fired on."""


class HaltEntry(models.Model):
    """The halt of run control that stopped the run: where it stands, by whom and why; when the run met it."""

    place: str
    """The address of the halt document."""
    reason: models.Words
    """Why, in the words of whoever halted."""
    by: models.Words
    """Who halted run control, as the halt document says."""
    since_utc: models.Instant
    """When run control was halted, as the halt document says."""
    at_utc: models.Instant
    """When this run's controller read it, by its clock."""


class StopSignEntry(models.Model):
    """The alarm or fact of `stop_when` that stopped the run, by ARN or name, and its answer."""

    sign: str
    """The ARN of the alarm, or the name of the fact."""
    value: models.Value
    """What the sign said: the state of the alarm, or the answer to the fact."""
    at_utc: models.Instant
    """When the controller read it, by its clock."""
    detail: models.Words = ""
    """What the alarm or the fact said beside its value."""


class UnclearSign(models.Model):
    """A time in which an alarm, a fact or the halt could not be read, or said nothing. `until_utc` None: to the end."""

    sign: str
    """The ARN of the alarm, the name of the fact, or the halt."""
    since_utc: models.Instant
    """When it could first not be read, by the controller's clock."""
    until_utc: models.Instant | None = None
    """When it was read again; None where it was not until the end."""
    detail: models.Words = ""
    """Why it could not be read, or what it said instead."""


class Interruption(models.Model):
    """A signal that ended the run."""

    signal: Literal["SIGINT", "SIGTERM", "SIGHUP"]
    """The first signal that the controller received."""
    at_utc: models.Instant
    """When it came, by the controller's clock."""


class OneShotEntry(models.Model):
    """One command before or after the burst, or of a drill. `problem` None: it ended as it should.

    `id` None: it was never started. `stopped_utc` None where there is an id: nobody has seen it end.
    """

    name: str
    """Its name in the plan."""
    when: Literal["before", "after", "during", "undo"]
    """Before or after the burst; `during` is the fault of a drill, `undo` what takes it back."""
    id: str | None = None
    """Its task or process; `unknown:NAME` where its start was not answered, None where it was never started."""
    started_utc: models.Instant | None = None
    """When it started, by its platform; None where nobody saw it start."""
    stopped_utc: models.Instant | None = None
    """When it ended, by its platform; None where nobody saw it end."""
    stop_code: str | None = None
    """Why it stopped, as ECS names it; None where nobody knows."""
    exit_code: int | None = None
    """The exit code of its command; None where there is none, or nobody knows it."""
    required_exit_code: int = 0
    """The exit code that the plan takes for a success."""
    stopped_by: str | None = None
    """The layer that ended it; None where none did."""
    problem: models.Words | None = None
    """Why it did not end as it should; None where it did."""


class ServiceEntry(models.Model):
    """One service that was scaled for the burst. `restored`: it no longer is; else `command` puts it back."""

    name: str
    """The name of the service in the cluster of the plan."""
    before: models.Count
    """How many tasks it was to run before the burst."""
    desired: models.Count
    """How many tasks it was to run for the burst."""
    restored: bool
    """Whether it was put back, or left as somebody else had changed it meanwhile."""
    detail: models.Words = ""
    """How it was put back, or why not."""
    command: str | None = None
    """The command that puts it back by hand; None where `restored`."""
    definition_before: str | None = None
    """The ARN of its task definition before the burst; None where it was not rolled."""
    definition: str | None = None
    """The ARN of its task definition for the burst; None where it was not rolled."""


class DrillEntry(models.Model):
    """The fault of one drill: when it was intended, caused and over. `problem` None: it was caused as it should be.

    `intended_utc` None: it was never begun. `over_utc` None: nobody saw it come to its end: its command did not end, or
    its service did not have its new tasks.
    """

    name: str
    """The name of the drill in the plan."""
    service: str | None
    """The ECS service that it restarts; None where it runs a command."""
    planned_utc: models.Instant | None
    """GO and the seconds that the plan names; None where GO was never given."""
    intended_utc: models.Instant | None
    """When the controller noted that it would cause the fault; None where the fault was surely not caused."""
    struck_utc: models.Instant | None
    """When the restart was begun, or its command started; None where nobody saw that."""
    over_utc: models.Instant | None
    """When its command ended, or the service ran its new tasks; None where nobody saw that."""
    exit_code: int | None = None
    """The exit code of its command; None where it has none, or nobody knows it."""
    tasks_before: models.Count | None = None
    """How many tasks its service had before; None of a command."""
    replaced_task_count: models.Count | None = None
    """How many of those run no more."""
    problem: models.Words | None = None
    """Why the fault was not caused as it should be; None where it was."""
    undone: bool
    """Whether nothing of it is left to take back."""
    undo_problem: models.Words | None = None
    """Why it was not taken back; None where it was, or where nothing has to be."""
    undo_command: list[str] = []
    """The command that takes it back, where it has one."""

    @property
    def caused(self) -> bool:
        """Whether the fault was caused as the plan asks, and came to its end."""
        return self.problem is None and self.intended_utc is not None and self.over_utc is not None


class JournalPrefix(models.Model):
    """The journal as it stood when the task result was frozen: its first `size` bytes and their digest."""

    size: models.Count
    """How many bytes of the journal this document speaks of, from its beginning."""
    sha256: models.Digest
    """SHA-256 of those bytes."""


class TaskResult(models.Model):
    """`{slug}_task_result.json`. First task start to last task stop; `go_utc` is when the barrier opened."""

    schema_: Annotated[Literal["burst.task-result/v1"], pydantic.Field(alias="schema")] = "burst.task-result/v1"
    execution_id: str
    platform_run_id: str
    started_utc: models.Instant | None
    """The first start of a task, by its platform; None where nobody saw one start."""
    stopped_utc: models.Instant | None
    """The last stop of a task, by its platform or its guard; None where nobody saw one stop."""
    tasks: list[TaskEntry]
    """Every task that was launched for the burst, or may have been, by its shard."""
    command: list[str] = []
    """The words of the command line that began the run, without secrets; none where they are not known."""
    planned_tasks: models.Count | None = None
    """How many tasks the plan asks for; None where the document does not say it."""
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
    """When GO was written into the lease, by the controller's clock; None where it was never given."""
    deadline_utc: models.Instant | None = None
    """When the operator cap ends: no task may run after it. None where it is not known."""
    elapsed_seconds: float | None = None
    """From `started_utc` to `stopped_utc`; readers compute it again and never believe it."""
    overshoot_seconds: float | None = None
    """From the deadline to `stopped_utc`, 0 where that came first; None where one of the two is not known."""
    stop_reason: str | None = None
    """The word for why the run was stopped, such as `window-complete` or `deadline`; a detail may follow a colon."""
    stop_asked_utc: models.Instant | None = None
    """When this run first asked its tasks to end."""
    load_accounts: models.Count | None = None
    """How many tasks left a load account; None where nobody looked for one."""
    count_problem: models.Words | None = None
    """Why the receipts of the attempt window were not counted, where they were not."""
    layers: list[LayerEntry] = []
    """The layers of the hard stop that the plan's target has, each with what became of it."""
    worst_end_seconds: dict[str, float] = {}
    """How many seconds after the deadline the last process has ended at the latest, by each layer alone."""
    outages: list[Outage] = []
    """The times in which the launcher could not see the tasks; none where it always could."""
    count_blindnesses: list[CountBlindness] = []
    """The times in which no live count came; none where one always came."""
    early_stop: EarlyStop | None = None
    """The rule that ended the burst early; None where none did."""
    interruption: Interruption | None = None
    """The signal that ended the run; None where none did."""
    halt: HaltEntry | None = None
    """The halt that stopped the run; None where none did."""
    stop_sign: StopSignEntry | None = None
    """The alarm or fact of `stop_when` that stopped the run; None where none did."""
    unclear_signs: list[UnclearSign] = []
    """The times in which a stop sign or the halt could not be read; none where all could always be read."""
    one_shots: list[OneShotEntry] = []
    """The commands before and after the burst and of drills, as far as the run came to them."""
    services: list[ServiceEntry] = []
    """The ECS services that were scaled for the burst; none where the plan scales none."""
    drills: list[DrillEntry] = []
    """The fault of each drill of the plan; none where the plan has no drill."""
    journal: JournalPrefix | None = None
    """The part of the journal that this document was made from; None where the run has none."""

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
