"""The wheel: a consumer of evidence needs it with its core dependencies and no network; an operator needs no clone."""

import importlib.metadata
import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burst import evidence
from burst.domain.basics import runbooks
from burst.domain.plan import catalogues
from burst.domain.preflight import findings
from tests import wheels
from tests.evidence import evidencing

FIRST, SECOND = evidencing.run_id(1), evidencing.run_id(2)
CONSUMER = """
import socket, sys

def refused(*_, **__):
    raise OSError("there is no network here")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
from burst.cli import main
import burst
assert burst.__file__.startswith(sys.path[0]), burst.__file__
code = main.main(sys.argv[1:])
never = {"boto3", "botocore", "sqlalchemy", "psycopg", "locust", "moto", "scipy"} & set(sys.modules)
assert not never, never
sys.exit(code)
"""


def core() -> Iterator[importlib.metadata.Distribution]:
    """The distributions of the core dependencies, and of theirs."""
    wanted, seen = ["burst"], {"burst"}
    while wanted:
        found = importlib.metadata.distribution(wanted.pop())
        if found.metadata["Name"] != "burst":
            yield found
        for requirement in found.requires or ():
            name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
            if "extra ==" not in requirement and name not in seen and _installed(name):
                seen.add(name)
                wanted.append(name)


def _installed(name: str) -> bool:
    """False for what only another platform or Python needs."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository."""
    return wheels.build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and, from the environment of the tests, every package but burst.

    A folder named in a `.pth` file brings its packages, and its own `.pth` files, such as that of the editable burst,
    count for nothing there.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "locked.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(folder)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    return folder / "bin"


@pytest.fixture
def installation(programs: Path, tmp_path: Path) -> wheels.Installation:
    """The wheel, in an empty folder."""
    return wheels.Installation(programs=programs, folder=tmp_path)


@pytest.fixture(scope="module")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The start of a command line that runs the wheel as a machine with nothing else would."""
    folder = tmp_path_factory.mktemp("machine")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "wheel")
    site = folder / "site"
    site.mkdir()
    for distribution in core():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    path = f"import sys; sys.path[:0] = [{str(folder / 'wheel')!r}, {str(site)!r}]\n"
    return (sys.executable, "-I", "-S", "-c", path + CONSUMER)


def test_evidence_verifies_with_the_wheel_alone_and_no_network(machine: tuple[str, ...], tmp_path: Path) -> None:
    places = {"run_control": "s3://bucket/control", "run_scoped": "s3://bucket/runs"}
    held = evidencing.published(evidencing.case(FIRST, passing=False, evidence=places))
    rerun = evidencing.published(evidencing.case(SECOND, prior=held[evidencing.SNAPSHOT], evidence=places))
    for execution_id, contents in ((FIRST, held), (SECOND, rerun)):
        evidencing.folder(tmp_path, execution_id, contents)
    (tmp_path / "b.zip").write_bytes(evidence.bundle(tmp_path / SECOND))

    for run in (tmp_path / SECOND, tmp_path / "b.zip"):
        answer = subprocess.run([*machine, "verify", str(run), "--json"], capture_output=True, text=True, check=False)

        assert answer.returncode == 0, answer.stderr
        value = json.loads(answer.stdout)
        assert (value["state"], [prior["state"] for prior in value["chain"]]) == ("ok", ["ok"])


def test_the_wheel_alone_sees_a_flipped_byte(machine: tuple[str, ...], tmp_path: Path) -> None:
    folder = evidencing.folder(tmp_path, FIRST, evidencing.published(evidencing.case(FIRST)))
    plan = bytearray((folder / "plan.json").read_bytes())
    plan[10] ^= 1
    (folder / "plan.json").write_bytes(plan)

    answer = subprocess.run([*machine, "verify", str(folder)], capture_output=True, text=True, check=False)

    assert answer.returncode == 8
    assert answer.stdout.startswith("corrupt:")


def test_the_wheel_is_not_the_clone(programs: Path, tmp_path: Path) -> None:
    script = "import burst, locust; print(burst.__file__, locust.__file__)"

    answer = subprocess.run(
        [programs / "python", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    burst_file, locust_file = map(Path, answer.stdout.split())
    assert programs.parent in burst_file.parents
    assert programs.parent not in locust_file.parents


def test_every_page_that_a_message_names_is_in_the_wheel(installation: wheels.Installation) -> None:
    code, value = installation.run_json("runbook")
    names = {page["name"] for page in value["pages"]}
    refused = installation.run("plan", "none.yaml")

    assert code == 0
    assert refused.stderr.rstrip().endswith("; see: burst runbook exit-2")
    assert {runbooks.page_name(runbooks.PageKind.EXIT, code) for code in runbooks.WHAT_TO_DO} <= names
    of_blockers = {
        runbooks.page_name(runbooks.PageKind.BLOCKER, blocker, phase_kind=kind).partition("#")[0]
        for kind, catalogue in catalogues.CATALOGUES.items()
        for blocker in catalogue.titles
    }
    assert of_blockers <= names
    assert installation.run("runbook", "preflight").stdout.count("Seen: ") >= len(findings.FINDING_KINDS) - 1
    assert installation.run("runbook", "exit-6").stdout.startswith("Exit 6: a task may still be running\n")


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_a_newcomer_plays_the_demo_from_the_wheel_in_an_empty_folder(installation: wheels.Installation) -> None:
    wheels.play_demo(installation)

    assert not (installation.folder / "locustfiles").exists()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("play", [wheels.play_run, wheels.play_rehearsal])
def test_a_newcomer_plays_a_run_and_a_rehearsal_from_the_wheel_in_an_empty_folder(
    installation: wheels.Installation, play: Callable[[wheels.Installation], object]
) -> None:
    """Beside other tests: the run may end on HOLD, and the rehearsal asks for a tenth of what it sends."""
    play(installation)

    assert not (installation.folder / "locustfiles").exists()
