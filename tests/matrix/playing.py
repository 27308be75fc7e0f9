"""Playing a cell of the matrix: the run, the fault in its phase, what settles it afterwards, and what must hold of all.

An outage lasts until its tasks are gone, at the longest past deadline, grace and every layer's delay: whatever stops
them by then does it without the AWS that is down. A run left without a verdict is resumed as an operator would, once
its tasks have ended by themselves; in the phase `reconciling` it is resumed while they run.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from burst.adapters.aws import scheduler
from burst.adapters.local import system_clock
from burst.domain.basics import instants
from burst.domain.tasks import tasks
from tests import waiting
from tests.faults import stage as faults_stage
from tests.matrix import stage, table

LOOK_SECONDS = 0.1
GUARD_EARLY_SECONDS = 0.25
"""A guard reads its two clocks one after the other, and goes by the monotonic one."""
LONGEST_SECONDS = 120.0
SETTLED = frozenset({0, 3})
UNSETTLED = frozenset({5, faults_stage.SIGKILLED})
BLIND = 6
"""Of `burst resume` alone: with the fault in force it cannot tell whether tasks run."""
RESUMES = 4
DELAYS_SECONDS = {
    tasks.Layer.GUARD: 0.5,
    tasks.Layer.LEASE: 0.5,
    tasks.Layer.CONTROLLER: 1.5,  # stopTimeout is a second longer than the grace
    tasks.Layer.SIDECAR: 4.0,  # it counts whole seconds from its own start, and what is deaf has its stopTimeout then
}
"""How long after deadline and grace each layer may take until nothing of the task is left."""
LONGEST_DELAY_SECONDS = max(DELAYS_SECONDS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one cell."""

    fault: str
    phase: str
    exits: tuple[int, ...]
    """Of the controller, and of each `burst resume` after it; -9 where the fault killed it."""
    stopped_by: tuple[str, ...]
    open_blockers: tuple[str, ...]
    overshoot_seconds: float | None
    """By the snapshot; None where no task started."""
    last_seen_seconds: float | None
    """When the last container was seen running, from the deadline; None where none ever was."""
    took_seconds: float

    def text(self) -> str:
        """As JSON."""
        return json.dumps(dataclasses.asdict(self))


def play_out(play: stage.Stage, cell: table.Cell) -> Row:
    """One cell from launch to verdict. Raises AssertionError for what must hold and does not."""
    began = time.monotonic()
    ran = play.named()
    eye = play.eye(ran)
    longer_seconds = stage.LONGER_SECONDS if cell.fault in table.TAKES_A_TASK else 0.0
    window_seconds, cap_seconds = stage.WINDOW_SECONDS + longer_seconds, stage.CAP_SECONDS + longer_seconds
    plan = play.plan(ran, window=window_seconds, cap=cap_seconds)
    scene = Scene(play=play, cell=cell, ran=ran, eye=eye)
    resumed = cell.phase == "reconciling"
    strike = play.strike("go-given", table.KILL) if resumed else play.strike(cell.event, cell.label)
    exits = [scene.watch(play.begin(ran, plan, strikes=[strike]))]
    if resumed:
        assert exits == [faults_stage.SIGKILLED], f"the run never came to GO: {play.said()}"
        exits.append(scene.watch(scene.reconcile()))
    while exits[-1] not in SETTLED:
        blind = resumed and exits == [faults_stage.SIGKILLED, BLIND]
        assert exits[-1] in UNSETTLED or blind, f"ended with {exits}: {play.said()}"
        assert len(exits) <= RESUMES, f"not settled by {exits}: {play.said()}"
        scene.see_over()
        exits.append(scene.watch(play.resume(ran)))
    return scene.judge(tuple(exits), time.monotonic() - began)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One cell being played."""

    play: stage.Stage
    cell: table.Cell
    ran: faults_stage.Ran
    eye: stage.Eye

    def reconcile(self) -> faults_stage.Command:
        """`burst resume` with the fault in force, or killed by it in the middle."""
        if self.cell.fault == table.KILL:
            return self.play.resume(self.ran, strikes=[self.play.strike(self.cell.event, self.cell.label)])
        self.play.arm(self.cell.label)
        return self.play.resume(self.ran)

    def watch(self, command: faults_stage.Command) -> int:
        """The exit code of a command, the containers looked at meanwhile and an outage ended when it is time."""
        give_up_at = time.monotonic() + LONGEST_SECONDS
        while (code := command.code(LOOK_SECONDS)) is None:
            assert time.monotonic() < give_up_at, f"at work for {LONGEST_SECONDS:g} s: {command.words()}"
            gone = not self.eye.look() and self.eye.last_alive is not None
            if gone or self._layers_are_done():
                self._end_outage()
        return code

    def see_over(self) -> None:
        """Waits until no container runs, and ends the outage. Fails where one outlives every layer."""
        while self.eye.look():
            assert not self._layers_are_done(), f"outlived every layer: {self.eye.left()}"
            time.sleep(LOOK_SECONDS)
        self._end_outage()

    def _layers_are_done(self) -> bool:
        if self.ran.event("run-created") is None:
            return False
        late_seconds = instants.seconds_between(stage.gone_by(self.ran, LONGEST_DELAY_SECONDS), datetime.now(UTC))
        return late_seconds >= 0 and late_seconds >= waiting.scheduling_seconds()

    def _end_outage(self) -> None:
        if self.cell.fault in table.OUTAGES:
            self.play.cloud.world.faults.disarm(self.cell.label)

    def judge(self, exits: tuple[int, ...], took_seconds: float) -> Row:
        """What must hold of every cell, and its row."""
        snapshot = self.ran.snapshot()
        assert self.ran.event(self.cell.event) is not None, f"the run never came to {self.cell.phase}"
        sound(self.play, self.ran, snapshot, exits[-1])
        ended_in_time(self.ran, self.eye, snapshot)
        self._named_layers(snapshot)
        if self.cell.fault in table.OVERCOME:
            assert exits[-1] == 0 or self._was_out_of_time(), snapshot["blockers"]
        if self.cell.fault in table.TAKES_A_TASK and self.cell.phase != "stopping":
            replaced = [task for task in _tasks(snapshot) if task["dropped"]]  # it was ended before GO
            ends = [(task["id"], task["stop_code"], task["load_ended_utc"]) for task in _tasks(snapshot)]
            assert replaced or "M10F-B9" in snapshot["blockers"], f"a task that the fault ended counts as held: {ends}"
        self._nothing_armed()
        assert self.play.verify(self.ran) == exits[-1], self.play.said()
        return Row(
            fault=self.cell.label,
            phase=self.cell.phase,
            exits=exits,
            stopped_by=tuple(sorted({_ended_by(task) for task in _tasks(snapshot)})),
            open_blockers=tuple(sorted(faults_stage.open_blockers(snapshot))),
            overshoot_seconds=snapshot["runtime_budget"]["overshoot_seconds"],
            last_seen_seconds=last_seen_seconds(self.ran, self.eye),
            took_seconds=round(took_seconds, 1),
        )

    def _named_layers(self, snapshot: Mapping[str, Any]) -> None:
        """Every task was stopped by a layer, but for those that the fault itself ended."""
        for task in _tasks(snapshot):
            assert task["stopped_utc"] is not None, task
            if self.cell.fault == "stop-ignored":  # the controller's StopTask was answered, and ended nothing
                assert task["stopped_by"] != tasks.Layer.CONTROLLER, task
            if task["stop_code"] in table.TAKEN_CODES and self.cell.phase != "stopping":
                assert task["stopped_by"] is None, task
            if task["stopped_by"] is None:
                # A guard that tells of a signal cannot say who sent it, and ECS does not describe the task.
                unknown_sender = self.cell.fault == "tasks-missing" and task["ended_by"] == tasks.EndCause.SIGNAL
                assert unknown_sender or self.cell.fault in table.ENDS_TASKS, task
            elif task["stopped_by"] == tasks.Layer.GUARD:  # whose clock is set by the wall's within a moment
                earliest = instants.later(self.ran.deadline(), -GUARD_EARLY_SECONDS)
                assert instants.parse(task["stopped_utc"]) >= earliest, task
            else:
                assert task["stopped_by"] in {layer.value for layer in tasks.Layer}, task

    def _was_out_of_time(self) -> bool:
        """Whether the machine was too slow for the run's deadline."""
        stop = self.ran.event("stop-intended")
        return stop is not None and stop["reason"] in table.OUT_OF_TIME

    def _nothing_armed(self) -> None:
        """The schedule's entry is gone; where nothing of AWS answers it may stay, and fire, and the journal says so."""
        found = scheduler.Scheduler("burst-matrix", clock=system_clock.SystemClock()).find(self.ran.execution_id)
        left = self.cell.fault == "all-aws-down" and self.ran.event("disarm-failed") is not None
        assert found is None or left, found


def sound(play: stage.Stage, ran: faults_stage.Ran, snapshot: Mapping[str, Any], code: int) -> None:
    """The verdict is the snapshot's, fails closed, and counts what Postgres holds."""
    assert snapshot["exit_code"] == code
    assert snapshot["overall_pass"] == (snapshot["blockers"] == []) == (code == 0)
    counted = (ran.folder / "m10_f_receipts_window_metrics.json").exists()
    if counted:
        assert ran.document("receipts_window_metrics")["counts"]["ADMIT"] == faults_stage.admitted(play.dsn, snapshot)
    if snapshot["overall_pass"]:
        checks = snapshot["burst_load_checks"]
        assert counted
        assert ran.document("receipts_window_metrics")["settled"] is True
        assert checks["duration_seconds"]["value"] >= stage.WINDOW_SECONDS
        assert ran.document("receipts_window_metrics")["counts"]["ADMIT"] > 0
        assert ran.document("facts")["facts"]


def ended_in_time(ran: faults_stage.Ran, eye: stage.Eye, snapshot: Mapping[str, Any]) -> None:
    """No container outlived deadline, grace and the delay of the layers that stopped its run; none lives now."""
    layers = {task["stopped_by"] for task in _tasks(snapshot)} - {None}
    delay_seconds = max((DELAYS_SECONDS.get(tasks.Layer(layer), LONGEST_DELAY_SECONDS) for layer in layers), default=0)
    assert not eye.look()
    assert not eye.left()
    if eye.last_alive is not None:
        assert eye.last_alive <= stage.gone_by(ran, delay_seconds + waiting.scheduling_seconds())


def last_seen_seconds(ran: faults_stage.Ran, eye: stage.Eye) -> float | None:
    """When the last container was seen running, from the deadline."""
    return None if eye.last_alive is None else round(instants.seconds_between(ran.deadline(), eye.last_alive), 1)


def _tasks(snapshot: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = snapshot["burst_execution_window"]["tasks"]
    return found


def _ended_by(task: Mapping[str, Any]) -> str:
    """The layer; where none ended it, what ECS says."""
    return str(task["stopped_by"] or task["stop_code"] or f"exit {task['exit_code']}")
