"""The contract of `ports.ProgramRunner`, on canned answers and on the programs of this machine."""

import os
import time
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.local import local_programs
from burst.domain.basics import errors
from tests import fakes_staging, waiting

PORT = ports.ProgramRunner


@pytest.fixture(params=["canned", "local"])
def programs(request: pytest.FixtureRequest) -> ports.ProgramRunner:
    return fakes_staging.CannedPrograms() if request.param == "canned" else local_programs.LocalPrograms()


def test_a_program_answers_with_its_exit_code_and_what_it_wrote(programs: ports.ProgramRunner) -> None:
    assert programs.run(["echo", "a  b", "$HOME; c"], seconds_max=30).output == b"a  b $HOME; c\n"
    assert programs.run(["true"], seconds_max=30).exit_code == 0
    assert programs.run(["false"], seconds_max=30).exit_code == 1


def test_a_program_that_is_not_there_is_refused(programs: ports.ProgramRunner) -> None:
    with pytest.raises(errors.Refused, match="no-such-program cannot be started"):
        programs.run(["no-such-program"], seconds_max=30)


def test_a_program_that_takes_too_long_is_ended(programs: ports.ProgramRunner) -> None:
    began = time.monotonic()

    with pytest.raises(errors.Refused, match=r"did not end within 0\.2 s"):
        programs.run(["sleep", "60"], seconds_max=0.2)

    assert time.monotonic() - began < 30


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    with pytest.raises(errors.Refused):
        local_programs.LocalPrograms().run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], seconds_max=1.0)

    pid = int(pid_file.read_text())
    waiting.until(lambda: not os.path.exists(f"/proc/{pid}"), what="the child to be gone")


def test_what_a_program_complains_of_is_told_and_too_much_output_is_refused() -> None:
    programs = local_programs.LocalPrograms()

    assert programs.run(["sh", "-c", "echo no such thing >&2; exit 3"], seconds_max=30).complaint == "no such thing\n"
    with pytest.raises(errors.Refused, match="allowed: at most"):
        programs.run(["head", "-c", str(9 << 20), "/dev/zero"], seconds_max=30)
    with pytest.raises(errors.Refused, match="allowed: at most"):
        programs.run(["sh", "-c", f"head -c {9 << 20} /dev/zero; sleep 60"], seconds_max=30)
