"""Every command answers soon: nothing heavy is imported before it is needed."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from burst import cli
from tests import waiting
from tests.evidence import evidencing

HEAVY = {
    *("boto3", "sqlalchemy", "psycopg", "scipy", "pydantic", "yaml", "jinja2", "rich", "psutil", "locust", "rfc8785"),
    *("moto", "sigstore", "uvicorn"),
}
OUTSIDE = {
    *("asyncio", "boto3", "botocore", "cryptography", "gevent", "http", "locust", "moto", "psutil", "psycopg"),
    *("requests", "rich", "scipy", "securesystemslib", "sigstore", "sqlalchemy", "ssl", "tenacity", "uvicorn"),
}
"""What reaches clouds, databases, processes and networks, or draws on a terminal."""
SHELL_OF_A_RUN = ("burst.control", "burst.rehearsal", "burst.sandbox", "burst.task")
LATER_ROOMS = [f"burst.domain.{room}" for room in ("closure", "course", "run", "staging", "verdict")]
RUN = evidencing.run_id(1)
HELP_SECONDS = 0.2
BARE_SECONDS = 0.02
"""What a Python that does nothing takes on a usual machine, and more."""
ASK_EVERY_HELP = """
import contextlib, io, json, sys
from burst.cli import main

def words():
    for name in main.COMMANDS.keys() - {"guard"}:  # which has a weight of its own, and a test
        yield [name]
        group = main.cli.get_command(None, name)
        yield from ([name, each] for each in getattr(group, "commands", ()))

seen = {}
for asked in [[], *words()]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main.main([*asked, "--help"])
    seen[" ".join(asked)] = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps(seen))
"""


def imported_modules(*arguments: str, folder: Path | None = None) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "burst", *arguments]
    asked = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=waiting.PROCESS_SECONDS
    )
    lines = [line for line in asked.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def imported(*arguments: str, folder: Path | None = None) -> set[str]:
    """The packages that a command imports."""
    return {name.partition(".")[0] for name in imported_modules(*arguments, folder=folder)}


def within(modules: set[str], *rooms: str) -> set[str]:
    """The modules that are one of the rooms, or stand in one."""
    return {name for name in modules if any(f"{name}.".startswith(f"{room}.") for room in rooms)}


def test_no_help_imports_anything_heavy() -> None:
    """In one process, so that what the first to import names is the one that is wrong."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK_EVERY_HELP], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS
    )

    seen = json.loads(asked.stdout)
    assert {"", "run", "demo", "rehearse", "reap", "evidence prune", "baseline make"} <= seen.keys()
    assert {words: HEAVY.intersection(packages) for words, packages in seen.items() if HEAVY & set(packages)} == {}


def processor_seconds(*words: str) -> float:
    """What a Python takes of a processor, which other work on the machine hardly stretches; the best of five."""
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], capture_output=True, check=True, timeout=waiting.PROCESS_SECONDS)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


def test_help_takes_less_than_a_fifth_of_a_second() -> None:
    """On a machine that is slower than usual, as many times that as a Python that does nothing takes longer."""
    slower = processor_seconds("-I", "-c", "pass") / BARE_SECONDS

    assert processor_seconds("-m", "burst", "--help") < HELP_SECONDS * max(1.0, slower)


def test_guard_starts_without_the_weight_of_the_rest() -> None:
    packages = imported("guard", "--budget", "10", "--", "true")

    assert not {"boto3", "sqlalchemy", "scipy", "pydantic", "yaml", "jinja2", "rich"} & packages


def test_a_plan_is_read_without_what_runs_it_or_verifies_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://user:made-up@127.0.0.1:1/made_up")
    monkeypatch.setenv("IG_API_KEY", "made-up-for-a-test")
    plan = Path(str(cli.__file__)).parent / "examples" / "local.yaml"

    modules = imported_modules("plan", str(plan), folder=tmp_path)

    assert "burst.domain.plan.plans" in modules
    assert within(modules, *OUTSIDE, "jinja2") == set()
    assert within(modules, "burst.adapters.aws", *SHELL_OF_A_RUN) <= {"burst.control", "burst.control.pausing"}
    assert within(modules, "burst.domain.run", *LATER_ROOMS) <= {
        "burst.domain.verdict",
        "burst.domain.verdict.baselines",
    }


@pytest.mark.parametrize("command", ["verify", "latest", "history"])
def test_evidence_in_a_folder_is_read_without_what_runs_a_burst(command: str, tmp_path: Path) -> None:
    run = evidencing.folder(tmp_path, RUN, evidencing.published(evidencing.case(RUN)))
    words = {"verify": [str(run)], "latest": [str(tmp_path)], "history": [str(tmp_path), "--phase", "M10.F"]}

    modules = imported_modules(command, *words[command])

    assert "burst.evidence.verification" in modules
    assert within(modules, *OUTSIDE) == set()
    assert within(modules, "burst.adapters.aws", "burst.wiring", *SHELL_OF_A_RUN) == set()
    assert within(modules, "burst.domain.closure", "burst.domain.staging") == set()
