"""A campaign whose process is killed for real: nothing outlives its deadline, nothing is launched twice, and a resume
ends in the same verdict."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from burst.domain.basics import instants
from tests import waiting
from tests.faults import controller_driver, stage
from tests.staging import staging_driver

BUDGET = "budget: {max: 30m}"
WORD = "ADVANCE_HERE"
FAMILIES = "{semantic: [window], scale: [burst]}"


def write_campaign(play: stage.Stage, *more: str, plan: Path | None = None) -> Path:
    """A campaign of two bursts, with a command between them that counts how often it is run, and their roll-up."""
    first = plan or play.plan(stage.UNHURRIED)
    counting = [sys.executable, "-c", f"open({str(play.folder / 'counted')!r}, 'a').write('x')"]
    lines = [
        "schema: burst.campaign/v1",
        "name: killed",
        "environment: local",
        BUDGET,
        f"evidence: {{local: {play.runs}}}",
        "steps:",
        f"  - {{name: window, plan: {first}}}",
        f"  - {{name: count, one_shot: {{command: {json.dumps(counting)}, timeout: 30s}}, depends_on: [window]}}",
        f"  - {{name: burst, plan: {play.plan(stage.UNHURRIED)}, depends_on: [count]}}",
        "  - name: rollup",
        "    rollup:",
        f"      {{phase: M10.J, advance: {WORD}, families: {FAMILIES}, require: [semantic, scale]}}",
        "    depends_on: [burst]",
        *more,
    ]
    path = play.folder / "campaign.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def find_campaign(play: stage.Stage) -> Path:
    (folder,) = (play.runs / "campaigns").iterdir()
    return folder


def read_status(play: stage.Stage) -> dict[str, Any]:
    answer = play.burst("campaign", "status", find_campaign(play), "--json")
    assert answer.code == 0, answer.err
    return answer.document


def require_sound(play: stage.Stage, status: dict[str, Any]) -> None:
    """Every step passed, the command ran once, no task outlived its deadline, and the evidence holds."""
    assert (status["state"], [step["state"] for step in status["steps"]]) == ("done (exit 0)", ["PASS"] * 4)
    assert (play.folder / "counted").read_text() == "x"
    for step in status["steps"]:
        last = step["attempts"][-1]
        if step["kind"] in ("plan", "rollup"):
            assert play.burst("verify", play.runs / last["run_id"]).code == 0
        for attempt in step["attempts"] if step["kind"] == "plan" else ():
            require_in_time(stage.Ran(folder=play.runs / attempt["run_id"]))
    (rolled_up,) = (play.runs / status["steps"][-1]["attempts"][-1]["run_id"]).glob("*_rollup_snapshot.json")
    assert json.loads(rolled_up.read_bytes())["verdict"] == WORD


def require_in_time(ran: stage.Ran) -> None:
    deadline = ran.deadline()
    for task in ran.snapshot()["burst_execution_window"]["tasks"]:
        overstay = instants.seconds_between(deadline, instants.parse(task["stopped_utc"]))
        assert overstay <= stage.GRACE_SECONDS


@pytest.mark.parametrize("event", ["go-given", "launch-intended", "measure-intended"])
def test_a_campaign_killed_while_a_run_is_under_way_goes_on_with_that_run(play: stage.Stage, event: str) -> None:
    blow = controller_driver.Blow(event=event, number=signal.SIGKILL)
    command = play.start("campaign", "run", write_campaign(play), fate=(blow,))
    assert command.ended() == stage.SIGKILLED

    answer = play.burst("campaign", "resume", find_campaign(play), "--json")

    assert answer.code == 0, answer.err
    require_sound(play, read_status(play))
    attempts = answer.document["steps"][0]["attempts"]
    assert [attempt["end"] for attempt in attempts] == (["HOLD", "PASS"] if event == "launch-intended" else ["PASS"])


@pytest.mark.parametrize("line", ["before", "after"])
def test_a_campaign_killed_at_any_step_of_its_own_goes_on_there(play: stage.Stage, line: str) -> None:
    path, environment = write_campaign(play), play.environment
    lines, torn = 1, line == "before"
    folder: Path | None = None
    while True:
        words = ["campaign", "run", str(path)] if folder is None else ["campaign", "resume", str(folder)]
        said = play.folder / f"said-{lines}"
        death = controller_driver.Death(line=lines, torn=torn)
        code = staging_driver.run_until_killed(words, death, environment=environment, said=said)
        if code != stage.SIGKILLED:
            assert code == 0, said.with_name(f"{said.name}.err").read_text()
            break
        begun = list((play.runs / "campaigns").iterdir())
        folder = begun[0] if lines > 1 or not torn else None
        if folder is None:
            begun[0].rename(play.folder / "never-begun")
            torn = False
            continue
        lines += 6

    require_sound(play, read_status(play))


def test_a_campaign_is_stopped_by_another_process_and_undone(play: stage.Stage) -> None:
    slow = play.plan(stage.UNHURRIED, window=600.0, cap=660.0)
    undone = play.folder / "undone"
    path = write_campaign(play, plan=slow)
    path.write_text(
        path.read_text().replace(
            f"{{name: window, plan: {slow}}}",
            f"{{name: window, plan: {slow}, undo: {{command: [touch, {undone}], timeout: 20s}}}}",
        )
    )
    command = play.start("campaign", "run", path, "--json")
    waiting.until(
        lambda: play.runs.is_dir() and [name for name in play.run_names() if name.startswith("m10")],
        seconds=60.0,
        what="the first run",
    )
    (run_id,) = [name for name in play.run_names() if name.startswith("m10")]
    ran = stage.Ran(folder=play.runs / run_id)
    ran.reached("go-given", 60.0)

    stopped = play.burst("campaign", "stop", find_campaign(play), "--reason", "enough", "--json")

    assert (stopped.code, stopped.document["state"]) == (3, "stopped (exit 3)"), stopped.err
    assert command.wait().code == 3
    assert undone.exists()
    assert ran.snapshot()["overall_pass"] is False
    assert play.burst("campaign", "resume", find_campaign(play)).code == 3


def test_a_signal_ends_the_run_in_order_and_the_campaign_holds_there(play: stage.Stage) -> None:
    blow = controller_driver.Blow(event="go-given", number=signal.SIGTERM)

    answer = play.start("campaign", "run", write_campaign(play), "--json", fate=(blow,)).wait()

    assert (answer.code, answer.document["pause"]["kind"]) == (143, "hold")
    require_in_time(stage.Ran(folder=play.runs / answer.document["steps"][0]["attempts"][0]["run_id"]))
    again = play.burst("campaign", "resume", find_campaign(play), "--reopen", "window", "--json")
    assert again.code == 0, again.err
    require_sound(play, read_status(play))


def test_a_second_process_drives_no_campaign_that_has_one(play: stage.Stage) -> None:
    path = write_campaign(play, plan=play.plan(stage.UNHURRIED, window=6.0, cap=40.0))
    command = play.start("campaign", "run", path)
    waiting.until(
        lambda: play.runs.is_dir() and [name for name in play.run_names() if name.startswith("m10")],
        seconds=60.0,
        what="the first run",
    )

    refused = play.burst("campaign", "resume", find_campaign(play))

    assert refused.code == 4
    assert "another controller is at work" in refused.err
    assert command.wait().code == 0
    require_sound(play, read_status(play))


def test_a_step_on_hold_is_taken_again_on_the_snapshot_that_it_ended_with(play: stage.Stage) -> None:
    flag = "select count(*) from admissions where state = 'STUCK'"
    held = [*stage.facts(), {"blocker": "M10F-B7", "name": "stuck", "sql": flag, "equals": 0}]
    plan = play.plan(stage.UNHURRIED)
    value = json.loads(plan.read_text())
    plan.write_text(json.dumps({**value, "facts": held}))
    with psycopg.connect(play.dsn, autocommit=True) as connection:
        connection.execute("insert into admissions (dedupe_key, state, platform_run_id) values ('s', 'STUCK', 'p')")
    path = write_campaign(play, plan=plan)

    first = play.burst("campaign", "run", path, "--json")
    unsaid = play.burst("campaign", "resume", find_campaign(play))
    with psycopg.connect(play.dsn, autocommit=True) as connection:
        connection.execute("delete from admissions where state = 'STUCK'")
    second = play.burst("campaign", "run", path, "--reopen", "window", "--only", "B7", "--json")

    assert (first.code, first.document["pause"]["kind"]) == (3, "hold")
    assert first.document["steps"][0]["attempts"][0]["blockers"] == ["M10F-B7"]
    assert (unsaid.code, "--reopen window" in unsaid.err) == (4, True)
    assert second.code == 0, second.err
    before, after = second.document["steps"][0]["attempts"]
    assert (after["only"], after["prior_sha256"]) == (["M10F-B7"], before["sha256"])
    snapshot = stage.Ran(folder=play.runs / after["run_id"]).snapshot()
    assert snapshot["source_snapshot_refs"]["prior"]["sha256"] == before["sha256"]
    assert second.document["steps"][0]["lost_to_hold_seconds"] > 0
    require_sound(play, read_status(play))
