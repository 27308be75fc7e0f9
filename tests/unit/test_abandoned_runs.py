"""What becomes of a run that its controller cannot go on with: each error says what it hides, and no more."""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from burst.adapters.local import run_lock, system_clock
from burst.cli import main
from burst.control import controller, ownership, recorder
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.run import lifecycle, runs
from burst.domain.tasks import leases
from burst.wiring import driving, sessions, standings
from tests import fakes, simulation

SUCCESSOR = leases.Owner(controller="2e1b", host="runner-2", since=fakes.START)
TTL_SECONDS = 0.6


class Silent:
    """A reporter that nobody hears."""

    def say(self, words: str) -> None:
        pass

    def checks_begun(self, plan: plans.Plan, names: Sequence[str]) -> None:
        pass

    def check_answered(self, name: str, found: Sequence[findings.Finding]) -> None:
        pass

    def checks_waiting(self, names: Sequence[str]) -> None:
        pass

    def checks_passed(self, checked: Sequence[findings.Finding]) -> None:
        pass

    def run_begun(self, plan: plans.Plan, folder: Path, baseline_rate_per_second: float | None) -> None:
        pass

    def run_continued(self, status: standings.RunStatus) -> None:
        pass

    def observe(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        pass

    def run_closed(self) -> None:
        pass


def begin(world: simulation.World, folder: Path) -> sessions.Session:
    """A session of a simulated run, whose plan and journal lie in a folder too."""
    world.begin()
    record = recorder.Recorder(world.journal)
    (folder / document_names.PLAN).write_bytes(world.store.documents[document_names.PLAN])
    (folder / document_names.JOURNAL).write_bytes(world.journal.prefix())
    driver = world.driver = world._controller(record)
    return sessions.Session(
        plan=world.plan,
        folder=folder,
        controller=driver,
        record=record,
        launcher=world.launcher,
        clock=cast("system_clock.SystemClock", world.clock),
        lock=run_lock.RunLock(folder, fakes.OWNER),
        source=None,
        lease=ownership.RunLease(
            store=world.lease,
            execution_id=str(world.plan.execution_id),
            deadline=fakes.START,
            begun_at=fakes.START,
            ttl_seconds=TTL_SECONDS,
            slowest_beat_seconds=TTL_SECONDS,
        ),
    )


def test_a_settled_run_that_cannot_be_published_is_told_so_though_nobody_answers_for_its_tasks(tmp_path: Path) -> None:
    world = simulation.World()

    class Away(simulation.Store):
        def put_once(self, name: str, content: bytes) -> None:
            if name == document_names.REPORT:
                world.launcher.blind = [world.at(0.0, 1e6)]
                raise errors.Unavailable("the disk is full")
            super().put_once(name, content)

    world.store = Away()

    with pytest.raises(errors.PublicationFailed, match="is full") as raised:
        driving.drive(begin(world, tmp_path), Silent())

    assert "burst resume" in str(raised.value)
    assert "still run" not in str(raised.value)
    assert world.outcome.stopped


def claim_in_mid_burst(world: simulation.World) -> None:
    def claim(number: int, driver: controller.Controller) -> None:
        standing = world.lease.standing
        if world.outcome.go_at is not None and standing is not None and standing.owner == fakes.OWNER:
            world.lease.claim(standing, SUCCESSOR, world.clock.now())

    world.on_decision = claim


def test_a_superseded_controller_leaves_the_burst_to_its_successor_that_beats_and_names_it(tmp_path: Path) -> None:
    world = simulation.World(simulation.plan(layers={"lease_ttl": "600ms"}))
    claim_in_mid_burst(world)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.02):
            standing = world.lease.standing
            if standing is not None and standing.owner == SUCCESSOR:
                world.lease.write(standing)

    successor = threading.Thread(target=beat)
    successor.start()
    try:
        with pytest.raises(errors.ControllerAtWork) as raised:
            driving.drive(begin(world, tmp_path), Silent())
    finally:
        done.set()
        successor.join()

    assert "is driven by controller 2e1b on runner-2 since 2026-" in str(raised.value)
    assert f"once it published: burst resume {tmp_path}" in str(raised.value)
    assert world.launcher.stops == []


def test_a_superseded_controller_whose_successor_is_silent_says_that_tasks_may_run(tmp_path: Path) -> None:
    world = simulation.World(simulation.plan(layers={"lease_ttl": "600ms"}))
    claim_in_mid_burst(world)

    with pytest.raises(errors.StillRunning, match=r"2e1b.*whose heartbeat stands still.*2 tasks may still be running"):
        driving.drive(begin(world, tmp_path), Silent())

    assert world.launcher.stops == []


def test_a_superseded_controller_whose_tasks_have_all_ended_leaves_the_rest_to_its_successor(tmp_path: Path) -> None:
    world = simulation.World(simulation.plan(layers={"lease_ttl": "600ms"}))

    def claim(number: int, driver: controller.Controller) -> None:
        standing: Any = world.lease.standing
        if isinstance(world.decisions[-1], lifecycle.Measure):
            world.lease.claim(standing, SUCCESSOR, world.clock.now())

    world.on_decision = claim

    with pytest.raises(errors.ControllerAtWork, match="2e1b"):
        driving.drive(begin(world, tmp_path), Silent())

    assert document_names.snapshot_name(world.plan.slug, world.plan.kind) not in world.store.documents


def test_a_command_that_is_refused_because_a_controller_is_at_work_does_not_say_that_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://127.0.0.1:1/nowhere")
    session = begin(simulation.World(), tmp_path)

    code = main.main(["resume", str(tmp_path)])

    session.lock.release()
    shown = capsys.readouterr().err
    assert code == 4, shown
    assert f"another controller is at work on {tmp_path.name}: controller 1f0a" in shown
    assert "nothing is left running" not in shown
    assert "leave the run to it, or end the burst" in shown
