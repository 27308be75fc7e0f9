"""The fault matrix. Every test run plays a part that has each fault and each phase; `make matrix` plays all of it."""

import os
from pathlib import Path

import pytest

from tests.matrix import __main__, playing, stage, table

ROWS = os.environ.get("BURST_MATRIX_ROWS")
"""The folder `make matrix` wants the rows in."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", table.CELLS if ROWS else table.COVERING, ids=str)
def test_no_task_outlives_its_layers_and_the_verdict_fails_closed(play: stage.Stage, cell: table.Cell) -> None:
    row = playing.play_out(play, cell)

    if ROWS:
        (Path(ROWS) / f"{cell}.json").write_text(row.text())
    assert row.exits[-1] in playing.SETTLED


def test_the_table_of_architecture_is_made_anew_and_nothing_else_of_the_page_is_changed() -> None:
    page = __main__.ARCHITECTURE.read_text()
    rows: list[dict[str, object]] = [
        {"fault": cell.label, "phase": cell.phase, "stopped_by": [], "overshoot_seconds": None} for cell in table.CELLS
    ]
    rows[0] |= {"stopped_by": ["lease", "controller"], "overshoot_seconds": 1.25}
    before, _, _ = page.partition("| fault | arming |")
    after = page.partition("\n## Decisions worth knowing")[2]

    anew = __main__.replace_summary(page, rows)

    assert anew.startswith(
        before + "| fault | arming | launching | starting | bursting | stopping | reconciling |\n|---|"
    )
    assert "\n| controller-kill | lease, controller +1.2 s | - | - | - | - | - |\n" in anew
    assert anew.endswith("| short-answer | - | - | - | - | - | - |\n\n## Decisions worth knowing" + after)


def test_the_part_that_is_always_played_has_every_fault_and_every_phase() -> None:
    assert {cell.fault for cell in table.COVERING} == {cell.fault for cell in table.CELLS}
    assert {cell.phase for cell in table.COVERING} == set(table.PHASES)
