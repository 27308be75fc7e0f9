"""The main job as a newcomer types it: `make demo`, its evidence, and the replay that must not pass.

These run alone, after everything else: a burst measured beside a busy test suite proves nothing.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from burst.domain.basics import canonical, instants
from burst.report import runbook_pages
from tests import waiting

REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


def make_demo(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    arguments = " ".join(["--json", "--runs-dir", str(runs), *words])
    return subprocess.run(
        ["make", "--silent", "demo", f"ARGS={arguments}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
    )


def burst(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "burst", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS, check=False)


def evidence_of(snapshot: dict[str, Any], runs: Path) -> Path:
    (folder,) = runs.glob(f"demo_*/{snapshot['execution_id']}")
    return folder


def test_make_demo_passes_with_three_times_the_baseline_and_its_evidence_verifies(tmp_path: Path) -> None:
    shown = make_demo(tmp_path)

    assert shown.returncode == 0, shown.stderr
    snapshot = json.loads(shown.stdout)
    folder = evidence_of(snapshot, tmp_path)
    assert snapshot["overall_pass"] is True
    assert snapshot["blockers"] == []
    assert snapshot["burst_load_checks"]["achieved_multiplier"]["value"] >= 3.0
    assert (folder / "m10_f_burst_snapshot.json").read_bytes() == canonical.encode(snapshot)
    assert burst("verify", str(folder)).returncode == 0
    metrics = json.loads((folder / "m10_f_receipts_window_metrics.json").read_bytes())
    start, end = (instants.parse(metrics["window"][name]) for name in ("start_utc", "end_utc"))
    rate = metrics["counts"]["ADMIT"] / instants.seconds_between(start, end)
    baseline = json.loads((folder / "baseline.json").read_bytes())
    assert snapshot["burst_load_checks"]["achieved_multiplier"]["value"] == rate / (
        baseline["admits"] / baseline["seconds"]
    )


def test_make_demo_replay_holds_with_only_the_profile_blocker_open(tmp_path: Path) -> None:
    shown = make_demo(tmp_path, "--replay")

    assert "Error 3" in shown.stderr, shown.stderr
    *_, page = re.findall(r"see: burst runbook (\S+)", shown.stderr)
    assert "blocker-b1.md" in runbook_pages.read_page(page).text
    snapshot = json.loads(shown.stdout)
    states = {entry["blocker"]: entry["state"] for entry in snapshot["blocker_register"]}
    assert snapshot["exit_code"] == 3
    assert snapshot["blockers"] == ["M10F-B1"]
    assert states["M10F-B5"] == states["M10F-B8"] == "cleared"
    assert snapshot["burst_load_checks"]["counts"]["ADMIT"] == 0
    assert snapshot["burst_load_checks"]["counts"]["DUPLICATE"] > 0
    assert snapshot["burst_load_checks"]["admit_ratio"]["value"] == 0.0
    assert snapshot["decision"]["early_stop"]["rule"] == "ratio-impossible"
    assert burst("verify", str(evidence_of(snapshot, tmp_path))).returncode == 3
