"""A campaign on ECS whose machine dies in a burst: another machine goes on with it from run control alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burst.rehearsal import bootstrap
from burst.sandbox import gateway
from burst.wiring import preparing
from tests import fixtures_aws, waiting
from tests.faults import stage
from tests.faults.test_takeover import PLAN

pytestmark = pytest.mark.timeout(420)

WINDOW_SECONDS = 25
CAMPAIGN = """\
schema: burst.campaign/v1
name: far
environment: dev
budget: {{max: 1h}}
evidence: {{local: here, run_control: "{run_control}"}}
steps:
  - {{name: burst, plan: plan.yaml}}
  - name: rollup
    depends_on: [burst]
    rollup: {{phase: M10.J, advance: ADVANCE_FAR, families: {{scale: [burst]}}, require: [scale]}}
"""


def call(machine: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command on a machine, which is a folder of its own."""
    command = [sys.executable, "-m", "burst", "campaign", *words, "--json"]
    return subprocess.run(command, cwd=machine, capture_output=True, text=True, timeout=300, check=False)


def test_a_campaign_goes_on_from_another_machine_with_the_run_that_is_under_way(
    cloud: fixtures_aws.Cloud, database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEOVER_DSN", database_dsn)
    monkeypatch.setenv("TAKEOVER_API_KEY", "a-key")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    run_control = f"s3://evidence/{cloud.name}/run_control"
    (first / "campaign.yaml").write_text(CAMPAIGN.format(run_control=run_control))
    with gateway.start(dsn=database_dsn, api_key="a-key") as running:
        text = PLAN.format(
            name=cloud.name, host=running.url, python=sys.executable,
            sender=Path(__file__).parents[2] / "locustfiles" / "sender.py", window=WINDOW_SECONDS, ttl="30s", cap=240,
            facts=json.dumps(stage.facts()),
        )  # fmt: skip
        (first / "plan.yaml").write_text(text)
        plan = preparing.read_plan(preparing.RunRequest(plan_file=first / "plan.yaml"))
        bootstrap.furnish_account(plan, python=sys.executable, api_key="a-key")
        command = [sys.executable, "-m", "burst", "campaign", "run", "campaign.yaml"]
        with (first / "said").open("wb") as said:
            process = subprocess.Popen(command, cwd=first, stdout=said, stderr=said, env=dict(os.environ))
        try:
            waiting.until(
                lambda: any(b'"go-given"' in path.read_bytes() for path in first.glob("here/m10_*/journal.jsonl")),
                seconds=120,
                what="GO",
            )
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        campaign_id = next((first / "here" / "campaigns").iterdir()).name
        place = [campaign_id, "--runs-dir", "here", "--run-control", run_control]
        seen = json.loads(call(second, "status", *place).stdout)

        answer = call(second, "resume", *place)

    assert [step["state"] for step in seen["steps"]] == ["running", "not begun"]
    assert answer.returncode == 0, answer.stderr
    ended = json.loads(answer.stdout)
    (burst,) = ended["steps"][0]["attempts"]
    assert burst["run_id"] == seen["steps"][0]["attempts"][0]["run_id"]
    assert burst["place"] == f"{run_control}/{burst['run_id']}"
    rolled_up = ended["steps"][1]["attempts"][0]
    verify = [sys.executable, "-m", "burst", "verify", rolled_up["place"]]
    verified = subprocess.run(verify, cwd=second, capture_output=True, text=True, timeout=120, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
