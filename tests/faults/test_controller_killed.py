"""The controller killed at every line of its journal, durable or half written: nothing outlives its deadline, and
`burst resume` comes to a verdict that verifies and passes only what was wholly measured.

`make matrix` kills it at each line both ways, `make test` at each line one way.
"""

import os
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import pytest

from burst.domain.basics import instants
from tests.faults import controller_driver, stage

EVERYTHING = os.environ.get("BURST_KILLS") == "all"
LINES = 46
"""More lines than a run of this plan writes; how many counts stand among them varies."""
CHUNKS = 8
AT_A_TIME = 5
WINDOW_SECONDS = 2.0
CAP_SECONDS = 9.0
LATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One death, and when the run is resumed after it."""

    death: controller_driver.Death
    at_once: bool

    def __str__(self) -> str:
        kind = "half of line" if self.death.torn else "line"
        return f"killed at {kind} {self.death.line}, resumed {'at once' if self.at_once else 'when all was gone'}"


@pytest.mark.timeout(480)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_controller_killed_at_any_line_leaves_a_run_that_ends_in_time_and_verifies(
    play: stage.Stage, chunk: int
) -> None:
    cases = [
        Case(death=controller_driver.Death(line=line, torn=torn), at_once=(line // 2 % 2 == 0) is torn)
        for line in range(1 + chunk, LINES + 1, CHUNKS)
        for torn in ((False, True) if EVERYTHING else (line % 2 == 0,))
    ]

    wrong = _all_wrong(cases, lambda case: _play_out(play, case))

    assert not wrong, "\n".join(wrong)


def test_a_run_writes_no_more_lines_than_the_controller_is_killed_at(play: stage.Stage) -> None:
    command, ran = play.begin(play.plan(window=WINDOW_SECONDS))

    assert command.wait().code in (0, 3)
    assert 30 <= sum(not _of_a_busy_machine(event) for event in ran.events()) <= LINES


def _of_a_busy_machine(event: dict[str, Any]) -> bool:
    """Whether a line stands there because something took its time: a stop by force, a count that came late."""
    return event.get("force") is True or event["event"] == "count-blind"


def _all_wrong(cases: list[Case], play_out: Callable[[Case], None]) -> list[str]:
    """What went wrong with each case; they mostly wait, so many play at a time."""
    with futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        played = {case: pool.submit(play_out, case) for case in cases}
    failures = {case: future.exception() for case, future in played.items()}
    return [f"{case}: {type(failure).__name__}: {failure}" for case, failure in failures.items() if failure]


def _play_out(play: stage.Stage, case: Case) -> None:
    ran = play.named()
    plan = play.plan(window=WINDOW_SECONDS, cap=CAP_SECONDS)
    answer = play.start("run", plan, "--execution-id", ran.execution_id, fate=case.death).wait()
    if answer.code != stage.SIGKILLED:
        assert answer.code in (0, 3), f"the run itself ended with {answer.code}: {answer.err[-400:]}"
        assert len(ran.events()) < case.death.line
        return
    assert len(ran.events()) == case.death.line - case.death.torn
    if not ran.events():
        _never_began(play, ran)
        return
    gone_by = instants.later(ran.deadline(), stage.GRACE_SECONDS + LATE_SECONDS)
    assert play.burst("status", ran.folder).code == 0
    if not case.at_once:
        ran.see_gone(by=gone_by)

    resume = play.start("resume", ran.folder)

    ran.see_gone(by=gone_by)
    answer = resume.wait()
    assert ran.nothing_left(), f"left: {ran.tasks()} {ran.watchdogs()}"
    assert answer.code in (0, 3), f"resumed to {answer.code}: {answer.err[-400:]}"
    assert play.verify(ran) == answer.code
    if ran.snapshot()["overall_pass"]:
        _wholly_measured(play, ran)


def _never_began(play: stage.Stage, ran: stage.Ran) -> None:
    """Half of the first line is no line: nothing was launched, and every command says so."""
    assert ran.nothing_left()
    assert [play.burst(word, ran.folder).code for word in ("status", "resume", "verify")] == [7, 7, 7]


def _wholly_measured(play: stage.Stage, ran: stage.Ran) -> None:
    snapshot, metrics = ran.snapshot(), ran.document("receipts_window_metrics")
    assert snapshot["burst_load_checks"]["duration_seconds"]["value"] >= WINDOW_SECONDS
    assert metrics["settled"] is True
    assert metrics["counts"]["ADMIT"] == stage.admitted(play.dsn, snapshot) > 0
    assert ran.document("facts")["facts"]
