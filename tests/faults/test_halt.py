"""One switch for all: runs at work stop by it wherever their commands were started, and none begins while it stands."""

from datetime import UTC, datetime

from burst.control import watching
from burst.domain.basics import instants
from tests.faults import stage

RUNS = 3
LEASE_TTL_SECONDS = 30.0
MARGIN_SECONDS = 5.0
WINDOW_SECONDS = 600.0
"""For a run that nobody waits for: on a busy machine minutes lie between its GO and its halt."""
SLOW = {"load": {"rate": 240}, **stage.UNHURRIED}
"""Three runs at once leave the machine some time."""


def test_one_switch_stops_three_runs_at_once_and_refuses_a_fourth_until_it_is_lifted(play: stage.Stage) -> None:
    plan = play.plan(SLOW, window=WINDOW_SECONDS, cap=WINDOW_SECONDS + 60.0)
    begun = [play.begin(plan) for _ in range(RUNS)]
    for command, ran in begun:
        ran.reached("go-given", seconds=60)
        assert command.code() is None

    halted = play.burst("halt", "--reason", "customers see errors", "--json")
    halted_at = datetime.now(UTC)
    due_seconds = stage.GRACE_SECONDS + 2 * watching.beat_seconds(LEASE_TTL_SECONDS) + MARGIN_SECONDS
    for _, ran in begun:
        ran.see_gone(by=instants.later(halted_at, due_seconds))
    fourth = play.named()
    refused = play.burst("run", plan, "--execution-id", fourth.execution_id)
    codes = [command.ended() for command, _ in begun]
    lifted = play.burst("halt", "--lift")
    checked = play.burst("preflight", plan, "--json")

    assert (halted.code, lifted.code, codes) == (0, 0, [3] * RUNS), halted.err
    assert refused.code == 4
    assert not fourth.folder.exists()
    for words in ("halted by", "customers see errors", f"burst halt --lift --runs-dir {play.runs}"):
        assert words in refused.err
    for _, ran in begun:
        decision = ran.snapshot()["decision"]
        assert (decision["stop_reason"], decision["halt"]["reason"]) == ("halted", "customers see errors")
        assert "M10F-B9" in ran.snapshot()["blockers"]
        assert play.verify(ran) == 3
    (finding,) = (entry for entry in checked.document["findings"] if entry["check"] == "halt")
    assert finding["status"] == "passed"


def test_a_killed_run_that_is_resumed_under_a_halt_is_stopped(play: stage.Stage) -> None:
    command, ran = play.begin(play.plan(SLOW, window=WINDOW_SECONDS, cap=WINDOW_SECONDS + 60.0))
    ran.reached("go-given", seconds=60)
    command.kill()
    play.burst("halt", "--reason", "customers see errors")

    resumed = play.burst("resume", ran.folder, "--json")

    assert resumed.code == 3, resumed.err
    assert resumed.document["decision"]["stop_reason"] == "halted"
    assert ran.nothing_left()
