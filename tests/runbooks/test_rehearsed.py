"""The runbooks' rehearsals: whole runs on a simulated AWS, with the example plan exactly as it stands.

Each takes most of a minute, so `make test` plays those in `PLAYED` and `make runbooks` plays all. What they show is
held to what the page says, as everywhere.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import waiting
from tests.runbooks import pages, playing

PLAYED = ("fault-controller-kill.md",)
EVERYTHING = os.environ.get("BURST_RUNBOOKS") == "all"
PAGES = [page for page in pages.every() if page.rehearsals() and (EVERYTHING or page.name in PLAYED)]

pytestmark = pytest.mark.timeout(400)


def environment() -> dict[str, str]:
    """A newcomer's: no AWS, no secrets, `burst` on the path."""
    theirs = ("AWS_", "IG_", "BURST_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "TERM": "dumb"}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_rehearsals_of_a_page_show_what_it_says(page: pages.Page, tmp_path: Path) -> None:
    for name in ("runbooks", "locustfiles"):
        (tmp_path / name).symlink_to(pages.ROOT / name)

    played = playing.play(page.rehearsals(), tmp_path, environment(), seconds=360)

    found = playing.problems(played)
    assert not found, "\n\n".join(found)


def test_make_rehearse_passes_on_a_simulated_aws_and_its_evidence_verifies(tmp_path: Path) -> None:
    # Eight programs on a busy machine may begin to send seconds after GO.
    words = f"--json --quiet --set evidence.local={tmp_path}/runs --set gates.offered_load=0.1"

    answer = subprocess.run(
        ["make", "--silent", "rehearse", f"ARGS={words}"],
        cwd=pages.ROOT, env=environment(), capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert answer.returncode == 0, answer.stderr
    rehearsed = json.loads(answer.stdout)
    assert rehearsed["snapshot"]["overall_pass"] is True
    assert rehearsed["tasks_left"] == 0
    verify = [sys.executable, "-m", "burst", "verify", rehearsed["folder"]]
    assert subprocess.run(verify, capture_output=True, timeout=waiting.PROCESS_SECONDS, check=False).returncode == 0
