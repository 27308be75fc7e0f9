"""A command that reads runs writes nothing beside them, so that it may read where it has no right to write."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from burst.cli import main
from tests.released.__main__ import RELEASES

NEWEST = max(folder for folder in RELEASES.iterdir() if folder.is_dir())
RUN, OTHER, ALL, ELSEWHERE = "RUN", "OTHER", "ALL", "ELSEWHERE"
"""Words that stand for the run, another one, the folder of all runs, and a file in another folder."""
READING: tuple[tuple[str, ...], ...] = (
    ("verify", RUN),
    ("verify", RUN, "--format", "markdown"),
    ("status", "m10_pass", "--runs-dir", ALL),
    ("report", RUN, "-o", ELSEWHERE),
    ("history", ALL, "--phase", "M10.F"),
    ("latest", ALL, "--phase", "M10.F"),
    ("timing", RUN),
    ("evidence", "ls", ALL),
    ("evidence", "diff", OTHER, RUN),
    ("evidence", "hotspots", RUN),
    ("evidence", "attest", RUN, "--predicate", "vsa", "-o", ELSEWHERE),
    ("evidence", "bundle", RUN, "-o", ELSEWHERE),
    ("evidence", "site", ALL, "-o", ELSEWHERE),
)


def _read_tree(folder: Path) -> Mapping[str, bytes | None]:
    """Every path below a folder with its bytes; None for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_that_reads_leaves_the_runs_as_they_were(words: tuple[str, ...], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(NEWEST, runs)
    before = _read_tree(runs)
    places = {
        RUN: str(runs / "m10_pass"),
        OTHER: str(runs / "m10_hold"),
        ALL: str(runs),
        ELSEWHERE: str(tmp_path / "elsewhere" / "written.zip"),
    }
    (tmp_path / "elsewhere").mkdir()

    exit_code = main.main([places.get(word, word) for word in words])

    assert exit_code != 2, "the words of this test are wrong"
    assert _read_tree(runs) == before
