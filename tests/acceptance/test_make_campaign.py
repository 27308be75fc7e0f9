"""`make campaign`: every phase of a programme in seconds, one of them on HOLD and reopened, and the roll-up over all.

It runs alone, after everything else: a burst measured beside a busy test suite proves nothing.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import waiting

REPOSITORY = Path(__file__).parents[2]
MOST_SECONDS = 300.0
"""On a machine with nothing else to do."""

pytestmark = [pytest.mark.alone, pytest.mark.timeout(420)]


def burst(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "burst", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS, check=False)


def test_make_campaign_advances_through_every_phase_in_five_minutes(tmp_path: Path) -> None:
    began_at, slowness = time.monotonic(), waiting.slowness()
    shown = subprocess.run(
        ["make", "--silent", "campaign", f"ARGS=--json --runs-dir {tmp_path}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
    )
    took_seconds = time.monotonic() - began_at

    assert shown.returncode == 0, shown.stderr
    assert took_seconds < MOST_SECONDS * max(slowness, waiting.slowness())
    campaign = json.loads(shown.stdout)
    ends = {step["name"]: [attempt["end"] for attempt in step["attempts"]] for step in campaign["steps"]}
    assert ends.pop("burst") == ["HOLD", "PASS"]
    assert set(ends) == {"window", "baseline", "soak", "recovery", "reproducibility", "rollup"}
    assert {tuple(end) for end in ends.values()} == {("PASS",)}
    held, passed = next(step["attempts"] for step in campaign["steps"] if step["name"] == "burst")
    assert (held["blockers"], passed["only"], passed["prior_sha256"]) == (["M10F-B7"], ["M10F-B7"], held["sha256"])

    (folder,) = tmp_path.glob(f"demo_*/{campaign['steps'][-1]['attempts'][0]['run_id']}")
    snapshot = json.loads((folder / "m10_j_rollup_snapshot.json").read_bytes())
    assert (snapshot["verdict"], snapshot["blocker_union"]) == ("ADVANCE_DEMO", [])
    assert all(entry["passed"] for entry in snapshot["evidence_family_index"].values())
    assert len(snapshot["evidence_family_index"]) == 4
    assert snapshot["hold_time"]["by_lane"]["burst"] > 0
    assert burst("verify", str(folder)).returncode == 0
    lanes = [str(folder.parent / source["execution_id"]) for source in snapshot["source_snapshot_refs"]]
    again = burst("campaign", "rollup", str(folder / "rollup_order.json"), "--snapshots", ",".join(lanes), "--json")
    assert again.returncode == 0, again.stderr
    assert again.stdout.encode().strip() == (folder / "m10_j_rollup_snapshot.json").read_bytes()
