"""`make matrix`: plays every fault in every phase, and writes what became of each to two pages: every cell to
`docs/matrix.md`, the layers alone to the table of ARCHITECTURE.md.

The cells are the tests of `test_cells.py`, so nothing is judged here: both are written only when all of them hold.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burst.rehearsal import faults
from tests.matrix import stage, table

PAGE = stage.ROOT / "docs" / "matrix.md"
ARCHITECTURE = stage.ROOT / "ARCHITECTURE.md"
TWO_AT_ONCE = (
    "tests/faults/test_takeover.py::"
    "test_of_two_resumes_here_and_elsewhere_at_once_one_acts_and_the_folder_of_the_one_refused_adopts_its_verdict"
)
EVERY_LINE = "tests/faults/test_controller_killed.py"
WORKERS = os.environ.get("WORKERS", "4")
_HEAD = f"""\
# The fault matrix

Every fault of `burst rehearse --list-faults`, put in force in the phase named, in a run of two tasks on a simulated AWS
whose containers are real processes. The window is {stage.WINDOW_SECONDS:g} s and the cap {stage.CAP_SECONDS:g} s, both
{stage.LONGER_SECONDS:g} s longer under a fault that ends a running task. The grace is {stage.GRACE_SECONDS:g} s, the
lease lives {stage.LEASE_TTL_SECONDS:g} s. `make matrix` wrote this page; `make test` plays a part of it that has each
fault and each phase.

Of every row it was checked that no container outlived deadline, grace and the delay of the layer that stopped it, that
the verdict fails closed and counts what Postgres holds, that the snapshot names what stopped each task, that nothing is
left running or armed, and that `burst verify` agrees.

- **phase**: arming begins with the first layer, launching and starting with the launch and its answer, bursting with
  GO, stopping with the decision to stop. *reconciling* is `burst resume` after the controller was killed at GO.
- **exit**: of `burst run`, then of each `burst resume`; `killed` where the fault or the phase kills the controller.
- **stopped by**: the layers that stopped the tasks, or what ECS says where none did; `-` where no task started.
- **overshoot**: seconds past the deadline, by the snapshot; under `clock-skew` the difference of the clocks is in it.
  **last seen**: when the last container was seen running, from the deadline.
"""
_COLUMNS = ("fault", "phase", "exit", "stopped by", "open blockers", "overshoot s", "last seen s")


def main() -> int:
    """Plays all cells, many times two controllers at once for one run, and a kill at each line of a journal both ways;
    the exit code of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        played = ["tests/matrix/test_cells.py", TWO_AT_ONCE, EVERY_LINE]
        command = [sys.executable, "-m", "pytest", *played, "-q", "-n", WORKERS]
        environment = {**os.environ, "BURST_MATRIX_ROWS": folder, "BURST_CLAIM_ROUNDS": "20", "BURST_KILLS": "all"}
        code = subprocess.run([*command, *sys.argv[1:]], cwd=stage.ROOT, env=environment, check=False).returncode
        if code == 0:
            write(Path(folder))
    return code


def write(folder: Path) -> None:
    """The page, from the rows of a folder."""
    rows = [json.loads((folder / f"{cell}.json").read_text()) for cell in table.CELLS]
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *(_line(_cells(row)) for row in rows)]
    what = [f"- `{name}`: {text}" for name, text in faults.FAULTS.items()]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join([_HEAD, *lines, "", "## The faults", "", *what, ""]))
    ARCHITECTURE.write_text(replace_summary(ARCHITECTURE.read_text(), rows))


def replace_summary(text: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A page with its table of faults by phases made anew: the layers that stopped the tasks, and any overshoot."""
    by_cell = {(row["fault"].partition(":")[0], row["phase"]): row for row in rows}
    head = _line(("fault", *table.PHASES))
    lines = [head, _line(["---"] * (len(table.PHASES) + 1)).replace(" ", "")]
    for fault in dict.fromkeys(fault for fault, _ in by_cell):
        lines.append(_line([fault, *(_summarise(by_cell[fault, phase]) for phase in table.PHASES)]))
    before, _, after = text.partition(head)
    return before + "\n".join(lines) + "\n\n" + after.partition("\n\n")[2]


def _summarise(row: Mapping[str, Any]) -> str:
    overshoot = row["overshoot_seconds"]
    return (", ".join(row["stopped_by"]) or "-") + (f" +{overshoot:.1f} s" if overshoot else "")


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Mapping[str, Any]) -> list[str]:
    exits = ", then ".join("killed" if code == -9 else str(code) for code in row["exits"])
    return [
        f"`{row['fault']}`",
        row["phase"],
        exits,
        ", ".join(row["stopped_by"]) or "-",
        ", ".join(row["open_blockers"]) or "none",
        _seconds(row["overshoot_seconds"]),
        _seconds(row["last_seen_seconds"]),
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    raise SystemExit(main())
