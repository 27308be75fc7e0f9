"""The tutorial and the README are followed word for word: their commands run, in order, on a sandbox of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import loopback_server
from tests.runbooks import pages, playing

TUTORIAL = pages.ROOT / "docs" / "tutorial.md"
SECONDS = 400.0
IN_TUTORIAL_ALONE = {"burst sandbox up > exports.sh", "cat exports.sh", ". ./exports.sh", "ls runs/first_burst"}
IN_README_ALONE = {". .venv/bin/activate", 'eval "$(burst sandbox up)"'}
"""The same three words of the tutorial in one line."""


def list_readme_commands() -> list[str]:
    """The commands of `The main job by hand`, without their comments."""
    section = (pages.ROOT / "README.md").read_text().partition("## The main job by hand")[2]
    (block, *_) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


def test_the_readme_gives_the_commands_of_the_tutorial() -> None:
    told = [re.sub(r" --set \S+", "", command.text) for command in pages.read(TUTORIAL).commands]
    given = [re.sub(r" --set \S+", "", line) for line in list_readme_commands()]

    assert [line for line in given if line not in IN_README_ALONE] == [
        line for line in told if line not in IN_TUTORIAL_ALONE
    ]
    assert set(given) >= IN_README_ALONE


@pytest.mark.timeout(500)
def test_the_commands_of_the_tutorial_show_what_it_says(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    burst = programs / "burst"
    burst.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m burst "$@"\n')
    burst.chmod(0o755)
    port = loopback_server.find_free_port()
    own = ("AWS_", "BURST_", "IG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(pages.ROOT),
        "BURST_SANDBOX_FOLDER": str(tmp_path / "sandbox"),
        "BURST_SANDBOX_PORT": str(port),
        "TERM": "dumb",
    }
    folder = tmp_path / "empty"
    folder.mkdir()
    try:
        played = playing.play(pages.read(TUTORIAL).commands, folder, environment, seconds=SECONDS)
    finally:
        subprocess.run([burst, "sandbox", "down", "--quiet"], env=environment, check=True, capture_output=True)

    assert playing.problems(played) == []
