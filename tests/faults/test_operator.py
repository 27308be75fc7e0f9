"""What an operator does to a run under way or left behind: stop, reap, resume, and starting it twice."""

import signal
from datetime import UTC, datetime

import pytest

from burst.kit import process_tree
from tests import waiting
from tests.faults import controller_driver, stage
from tests.task import guarding

pytestmark = pytest.mark.timeout(400)


def bursting(play: stage.Stage) -> tuple[stage.Command, stage.Ran]:
    """A run whose load is under way, for longer than any test looks at it: commands start so fast that one might come
    before the first event."""
    command, ran = play.begin(play.plan(window=600, cap=660))
    waiting.until(
        lambda: any(event["event"] == "counted" and event["counts"]["admit"] for event in ran.events()),
        seconds=60,
        what=f"an event admitted in {ran.execution_id}",
    )
    return command, ran


def test_stop_ends_a_burst_and_its_controller_goes_on_to_the_verdict(play: stage.Stage) -> None:
    command, ran = bursting(play)

    stopped = play.burst("stop", ran.folder, "--reason", "seen enough", "--json")

    assert stopped.code == 0, stopped.err
    assert ran.all_gone()
    answer = command.wait()
    assert answer.code == 3
    assert ran.snapshot()["decision"]["stop_reason"] == "operator"
    assert stage.open_blockers(ran.snapshot()) == {"B1"}
    assert ran.nothing_left()
    assert play.verify(ran) == 3


def test_stop_needs_no_controller_and_resume_makes_the_verdict(play: stage.Stage) -> None:
    command, ran = bursting(play)
    command.kill()

    stopped = play.burst("stop", ran.execution_id)

    assert stopped.code == 0, stopped.err
    assert "burst resume" in stopped.out
    assert ran.all_gone()
    assert play.verify(ran) == 7
    resumed = play.burst("resume", ran.execution_id, "--json")
    assert resumed.code == 3
    assert resumed.document == ran.snapshot()
    assert ran.snapshot()["decision"]["stop_reason"] == "operator"
    assert ran.nothing_left()
    assert play.verify(ran) == 3


@pytest.mark.parametrize("taken", ["plan.json", "."], ids=["its plan", "its folder"])
def test_a_run_whose_documents_are_taken_away_leaves_nothing_running_and_has_no_verdict(
    play: stage.Stage, taken: str
) -> None:
    command, ran = play.begin(play.plan(), fate=(controller_driver.HOLD_AT_GO,))
    ran.reached("go-given")
    (ran.folder / taken).rename(play.folder / "taken")

    command.go_on()
    answer = command.wait()

    assert answer.code == 5
    assert "The verdict is not published" in answer.err
    assert not ran.tasks()


def test_stop_needs_no_database(play: stage.Stage) -> None:
    command, ran = bursting(play)
    command.kill()
    without = play.played_at(dsn="postgresql://nobody@127.0.0.1:1/nowhere")

    stopped = without.burst("stop", ran.folder)

    assert stopped.code == 0, stopped.err
    assert ran.all_gone()


def test_status_and_reconcile_tell_what_became_of_a_killed_controllers_tasks(play: stage.Stage) -> None:
    command, ran = bursting(play)
    alive = play.burst("status", ran.folder, "--json").document
    command.kill()
    process_tree.kill(ran.tasks())

    settled = play.burst("status", ran.folder, "--json").document
    reconciled = play.burst("reconcile", ran.folder, "--json")

    assert (alive["state"], alive["controller_alive"]) == ("bursting", True)
    assert {task["status"] for task in alive["tasks"]} == {"RUNNING"}
    assert settled["controller_alive"] is False
    assert {task["status"] for task in settled["tasks"]} == {"STOPPED"}
    assert reconciled.code == 3, reconciled.err
    assert reconciled.document == ran.snapshot()
    assert not ran.folded().alive


def test_resume_is_refused_while_a_controller_is_at_work(play: stage.Stage) -> None:
    command, ran = bursting(play)

    refused = play.burst("resume", ran.folder)

    assert refused.code == 4
    assert "another controller is at work" in refused.err
    assert ran.event("resumed") is None
    assert ran.tasks()
    assert command.code() is None


def test_reap_leaves_alone_what_is_in_time(play: stage.Stage) -> None:
    command, ran = bursting(play)
    command.kill()

    seen = play.burst("reap", "--all", "--dry-run", "--json")
    reaped = play.burst("reap", "--run", ran.execution_id, "--json")

    assert sum(ran.execution_id in words for words in seen.document["in_time"]) == 2
    assert not any(ran.execution_id in words for words in seen.document["overdue"])
    assert (reaped.code, len(reaped.document["in_time"]), reaped.document["stopped"]) == (0, 2, [])
    assert ran.tasks()


def test_reap_ends_what_outlived_its_deadline_when_every_other_layer_is_gone(play: stage.Stage) -> None:
    command, ran = play.begin_programs(guarding.DOUBLE_FORKS_AND_IGNORES_TERM, cap=8)
    command.kill()
    for process in [*ran.watchdogs(), *ran.guards()]:
        process_tree.send_signal(process, signal.SIGKILL)
    deadline = ran.deadline()
    waiting.until(lambda: datetime.now(UTC) > deadline, seconds=12, what="the deadline")

    seen = play.burst("reap", "--all", "--dry-run", "--json")
    still_there = ran.tasks()
    reaped = play.burst("reap", "--run", ran.execution_id, "--json")

    assert sum(ran.execution_id in words for words in seen.document["overdue"]) == 2
    assert still_there
    assert reaped.code == 0, reaped.err
    assert len(reaped.document["stopped"]) == 2
    assert ran.nothing_left()
    assert play.burst("resume", ran.folder).code == 3
    assert stage.layers_that_stopped(ran.snapshot()) == {"sweeper"}
    assert "M10F-B8" in ran.snapshot()["blockers"], "the budget was breached"
    assert play.verify(ran) == 3


def test_two_runs_started_at_once_share_neither_folder_nor_scope(play: stage.Stage) -> None:
    plan = play.plan()
    commands = [play.start("run", plan, "--json") for _ in range(2)]

    snapshots = [command.wait().document for command in commands]

    assert len({snapshot["execution_id"] for snapshot in snapshots}) == 2
    assert len({snapshot["platform_run_id"] for snapshot in snapshots}) == 2
    assert set(play.run_names()) == {snapshot["execution_id"] for snapshot in snapshots}


@pytest.mark.parametrize("inside", ["nothing", "a run"])
def test_an_execution_id_that_has_a_folder_is_refused_and_nothing_is_overwritten(
    play: stage.Stage, inside: str
) -> None:
    ran = play.named()
    ran.folder.mkdir(parents=True)
    if inside == "a run":
        (ran.folder / "plan.json").write_text("{}")
        (ran.folder / "journal.jsonl").write_text("")
    before = {path.name: path.read_bytes() for path in ran.folder.iterdir()}

    refused = play.burst("run", play.plan(), "--execution-id", ran.execution_id)

    assert refused.code == 4
    assert "nothing was overwritten" in refused.err
    assert {path.name: path.read_bytes() for path in ran.folder.iterdir()} == before
    assert ran.nothing_left()


def test_a_bad_plan_starts_no_process_and_makes_no_folder(play: stage.Stage) -> None:
    ran = play.named()
    plan = play.plan({"load": {"hots": "http://127.0.0.1:1"}})

    refused = play.burst("run", plan, "--execution-id", ran.execution_id)

    assert refused.code == 2
    assert "load.hots" in refused.err
    assert not play.runs.exists()
    assert ran.nothing_left()
