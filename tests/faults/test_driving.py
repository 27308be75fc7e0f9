"""A run driven without the command line, as a program of several runs drives it: values and errors, and no words."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.preflight import findings
from burst.domain.run import lifecycle, runs
from burst.wiring import driving, preparing, standings
from tests.faults import stage

pytestmark = pytest.mark.timeout(400)


@dataclass
class Reports:
    """A reporter that keeps the names of what it heard, the last of several alike."""

    names: list[str] = field(default_factory=list)
    stop_at_go: bool = False

    def say(self, words: str) -> None:
        self._hear(words)

    def checks_begun(self, plan: plans.Plan, names: Sequence[str]) -> None:
        pass

    def check_answered(self, name: str, found: Sequence[findings.Finding]) -> None:
        pass

    def checks_waiting(self, names: Sequence[str]) -> None:
        pass

    def checks_passed(self, checked: Sequence[findings.Finding]) -> None:
        self._hear("checks passed")

    def run_begun(self, plan: plans.Plan, folder: Path, baseline_rate_per_second: float | None) -> None:
        self._hear(f"begun {folder.name}")

    def run_continued(self, status: standings.RunStatus) -> None:
        self._hear(f"continued {status.run.execution_id}")

    def observe(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        self._hear("observed")
        if self.stop_at_go and run.go_at is not None:
            raise RuntimeError("a bug of the observer")

    def run_closed(self) -> None:
        self._hear("closed")

    def _hear(self, name: str) -> None:
        if self.names[-1:] != [name]:
            self.names.append(name)


@pytest.fixture
def secrets(play: stage.Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stage.DSN_NAME, play.dsn)
    monkeypatch.setenv(stage.API_KEY_NAME, play.api_key)


@pytest.mark.usefixtures("secrets")
def test_a_run_is_driven_to_its_outcome_and_resumed_to_the_same(play: stage.Stage) -> None:
    ran, reports, handlers = play.named(), Reports(), [signal.getsignal(signal.SIGTERM)]
    request = preparing.RunRequest(plan_file=play.plan(stage.UNHURRIED), execution_id=ran.execution_id)

    outcome = driving.run(request, reports)

    assert (outcome.exit_code, outcome.folder, outcome.urgent) == (0, ran.folder, "")
    assert (
        outcome.verdict.content
        == (ran.folder / document_names.snapshot_name("m10_f", catalogues.Kind.BURST)).read_bytes()
    )
    assert reports.names == ["checks passed", f"begun {ran.execution_id}", "observed", "closed"]
    assert [signal.getsignal(signal.SIGTERM)] == handlers
    again = Reports()
    address = driving.RunAddress(name=ran.execution_id, folder=ran.folder)
    assert driving.resume(address, again) == outcome
    assert again.names == [f"run {ran.execution_id} is finished"]
    assert ran.nothing_left()


@pytest.mark.usefixtures("secrets")
def test_an_unforeseen_error_ends_the_tasks_before_it_is_raised(play: stage.Stage) -> None:
    ran, reports = play.named(), Reports(stop_at_go=True)
    request = preparing.RunRequest(plan_file=play.plan(window=60, cap=100), execution_id=ran.execution_id)

    with pytest.raises(RuntimeError, match="a bug of the observer"):
        driving.run(request, reports)

    assert ran.all_gone()
    assert reports.names[-1] == "closed"
    with pytest.raises(errors.BurstError):
        driving.read_outcome(ran.folder)
    settled = driving.resume(driving.RunAddress(name=ran.execution_id, folder=ran.folder), Reports())
    assert settled.exit_code == 3
    assert ran.nothing_left()


@pytest.mark.usefixtures("secrets")
def test_a_plan_that_preflight_refuses_launches_nothing(play: stage.Stage) -> None:
    ran, reports = play.named(), Reports()
    plan = play.plan({"load": {"command": ["no-such-program"]}})
    request = preparing.RunRequest(plan_file=plan, execution_id=ran.execution_id)

    with pytest.raises(errors.Refused, match="no-such-program"):
        driving.run(request, reports)

    assert reports.names == ["closed"]
    assert not ran.folder.exists()
