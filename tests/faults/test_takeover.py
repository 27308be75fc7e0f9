"""A run launched on another machine: settled, stopped and refused from its id and run control alone."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import context
from pathlib import Path

import pytest

from burst.domain.basics import errors
from burst.rehearsal import bootstrap
from burst.sandbox import gateway
from burst.wiring import preparing
from tests import fixtures_aws, waiting
from tests.faults import controller_driver, stage

pytestmark = pytest.mark.timeout(300)

LONG_SECONDS, SHORT_SECONDS, CONTINUED_SECONDS = 900, 15, 40
"""A window that no test waits for or may meet on a busy machine; one that who takes the run over waits for; and one
that ends well after a takeover began."""
TAKEOVER_SECONDS = 5.0
"""How long after the death of its controller a run is taken over."""
ROUNDS = int(os.environ.get("BURST_CLAIM_ROUNDS", "2"))
"""How often two controllers claim one run at once; `make matrix` plays twenty."""
REFUSED_SECONDS = 30.0

PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
target:
  kind: ecs
  tasks: 2
  cluster: takeover-{name}
  task_definition: takeover-{name}:1
  container: burst
  subnets: [subnet-a]
  security_groups: [sg-a]
load:
  command: ["{python}", "{sender}"]
  host: {host}
  waits_for_go: true
  api_key: env:TAKEOVER_API_KEY
layers: {{require: [guard, sidecar, lease, schedule], lease_ttl: {ttl}}}
budget: {{max: {cap}s, operator_cap: {cap}s, min_window: {window}s, stop_grace: 1s, start_timeout: 90s}}
receipts: {{dsn: env:TAKEOVER_DSN, bucket: 1s, settle: 200ms}}
gates: {{admit_ratio: 0.995}}
facts: {facts}
evidence: {{local: here, run_control: s3://evidence/{name}/run_control, run_scoped: s3://evidence/{name}/runs}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A run bursting under a controller whose folder the other machine has not."""

    execution_id: str
    folder: Path
    run_control: str
    controller: "subprocess.Popen[bytes]"

    def burst(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command of another machine: its runs lie in a folder of its own."""
        place = ["--runs-dir", "there", "--run-control", self.run_control]
        command = [sys.executable, "-m", "burst", *words, self.execution_id, *place]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=240, check=False)

    def begin_resume(self, runs: str, said: str) -> "context.ForkServerProcess":
        """Begins to resume the run: `here` in its own folder, `there` as another machine; `said` names its output."""
        place = ["--run-control", self.run_control] if runs == "there" else []
        words = ["resume", self.execution_id, "--json", "--runs-dir", str(self.folder / runs), *place]
        return controller_driver.begin(words, environment=dict(os.environ), said=self.folder / said)

    def said(self, said: str) -> str:
        """What such a command said on stderr."""
        return (self.folder / f"{said}.err").read_text()

    def verify(self, runs: str = "there") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "burst", "verify", str(self.folder / runs / self.execution_id)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest,
    cloud: fixtures_aws.Cloud,
    database_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Elsewhere]:
    monkeypatch.setenv("TAKEOVER_DSN", database_dsn)
    monkeypatch.setenv("TAKEOVER_API_KEY", "a-key")
    sender = Path(__file__).parents[2] / "locustfiles" / "sender.py"
    with gateway.start(dsn=database_dsn, api_key="a-key") as running:
        window, ttl = getattr(request, "param", (LONG_SECONDS, "6s"))
        text = PLAN.format(
            name=cloud.name, host=running.url, python=sys.executable, sender=sender, window=window, ttl=ttl,
            cap=window + 200,
            facts=json.dumps(stage.facts()),
        )  # fmt: skip
        (tmp_path / "plan.yaml").write_text(text)
        plan = preparing.read_plan(preparing.RunRequest(plan_file=tmp_path / "plan.yaml"))
        bootstrap.furnish_account(plan, python=sys.executable, api_key="a-key")
        execution_id = f"m10_{uuid.uuid4().hex[:12]}"
        command = [sys.executable, "-m", "burst", "run", "plan.yaml", "--execution-id", execution_id]
        with (tmp_path / "controller.log").open("wb") as log:
            controller = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=dict(os.environ))
        try:
            journal = tmp_path / "here" / execution_id / "journal.jsonl"
            waiting.until(lambda: journal.exists() and b'"go-given"' in journal.read_bytes(), seconds=100, what="GO")
            yield Elsewhere(
                execution_id=execution_id,
                folder=tmp_path,
                run_control=f"s3://evidence/{cloud.name}/run_control",
                controller=controller,
            )
        finally:
            controller.kill()
            controller.wait()


def test_a_run_whose_controller_beats_is_not_taken_over_but_can_be_stopped(elsewhere: Elsewhere) -> None:
    refused = elsewhere.burst("resume")
    stopped = elsewhere.burst("stop")

    assert refused.returncode == 4
    assert f"run {elsewhere.execution_id} is driven by controller " in refused.stderr
    assert f"burst stop {elsewhere.execution_id} --run-control {elsewhere.run_control}" in refused.stderr
    assert "tasks may be running under the controller named above" in refused.stderr
    assert stopped.returncode == 0, stopped.stderr
    assert elsewhere.controller.wait(60) == 3
    assert not (elsewhere.folder / "there").exists()


@pytest.mark.parametrize("elsewhere", [(SHORT_SECONDS, "6s")], indirect=True)
def test_a_run_whose_machine_died_is_settled_counted_and_published_from_another(elsewhere: Elsewhere) -> None:
    elsewhere.controller.send_signal(signal.SIGKILL)
    elsewhere.controller.wait()

    settled = waiting.until(
        lambda: answer if (answer := elsewhere.burst("resume", "--json")).returncode == 3 else None,
        seconds=60,
        what="the dead controller's lease to be old enough",
    )

    assert "early_stop" in settled.stdout
    verified = elsewhere.verify()
    assert verified.returncode == 3, verified.stdout + verified.stderr


@pytest.mark.parametrize("elsewhere", [(CONTINUED_SECONDS, "30s")], indirect=True)
def test_a_takeover_soon_after_the_controllers_death_continues_the_burst_to_its_declared_end(
    elsewhere: Elsewhere,
) -> None:
    elsewhere.controller.send_signal(signal.SIGKILL)
    elsewhere.controller.wait()
    time.sleep(TAKEOVER_SECONDS)

    code = controller_driver.ended(elsewhere.begin_resume("there", "taken"), seconds=240)

    assert code == 0, elsewhere.said("taken")
    snapshot = json.loads((elsewhere.folder / "taken.out").read_text())
    assert snapshot["overall_pass"] is True
    assert snapshot["burst_load_checks"]["duration_seconds"]["value"] >= CONTINUED_SECONDS
    assert elsewhere.verify().returncode == 0


@pytest.mark.timeout(300 * ROUNDS)
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("elsewhere", [(SHORT_SECONDS, "6s")], indirect=True)
def test_of_two_resumes_here_and_elsewhere_at_once_one_acts_and_the_folder_of_the_one_refused_adopts_its_verdict(
    elsewhere: Elsewhere, number: int
) -> None:
    elsewhere.controller.send_signal(signal.SIGKILL)
    elsewhere.controller.wait()
    if number % 2 == 0:  # as the folder of an earlier burst: here, too, the heartbeat's silence has to be waited for
        (elsewhere.folder / "here" / elsewhere.execution_id / "controller.lock").write_bytes(b"")
    began = time.monotonic()
    resumes = {runs: elsewhere.begin_resume(runs, runs) for runs in ("here", "there")}

    first = waiting.until(
        lambda: [runs for runs in resumes if controller_driver.ended(resumes[runs], seconds=0) is not None],
        seconds=240,
        what="one to end",
    )
    seconds = time.monotonic() - began
    codes = {runs: controller_driver.ended(resume, seconds=240) for runs, resume in resumes.items()}

    refused = [runs for runs, code in codes.items() if code == errors.ControllerAtWork.exit_code]
    assert refused == first, {runs: elsewhere.said(runs) for runs in resumes}
    assert seconds < REFUSED_SECONDS + waiting.scheduling_seconds()
    assert f"run {elsewhere.execution_id} is driven by controller " in elsewhere.said(refused[0])
    code = codes["there" if refused == ["here"] else "here"]
    assert code in (0, 3)
    assert controller_driver.ended(elsewhere.begin_resume(refused[0], "adopting"), seconds=240) == code
    verified = elsewhere.verify(refused[0])
    assert verified.returncode == code, verified.stdout + verified.stderr


def test_a_run_nobody_announced_is_not_found(cloud: fixtures_aws.Cloud, tmp_path: Path) -> None:
    nobody = Elsewhere(
        execution_id="m10_nobody",
        folder=tmp_path,
        run_control=f"s3://evidence/{cloud.name}/run_control",
        controller=subprocess.Popen(["true"]),
    )

    answer = nobody.burst("reconcile")

    nobody.controller.wait()
    assert answer.returncode == 7
    assert "was announced" in answer.stderr
