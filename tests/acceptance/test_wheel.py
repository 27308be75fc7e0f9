"""What a consumer needs: the wheel with its core dependencies, and no network."""

import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst import evidence
from tests.evidence import evidencing

ROOT = Path(__file__).parents[2]
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
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The start of a command line that runs the wheel as a machine with nothing else would."""
    folder = tmp_path_factory.mktemp("machine")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("burst-*.whl")
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
