"""The wheel as a newcomer uses it: built, installed, and its commands given in an empty folder.

Used by `tests/acceptance/test_wheel.py`, over the packages of the development environment, and by
`tests/released/empty_environment.py`, which installs those packages too.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.sandbox import embedded_postgres, gateway
from tests import waiting

ROOT = Path(__file__).parents[1]
SHORT = (
    "--set", "budget.min_window=10s", "--set", "load.headroom=3", "--set", "gates.offered_load=0.1",
)  # fmt: skip
"""Changes that make a run of seconds of a plan that `burst init` wrote; a busy machine gets headroom, and its programs
may begin to send seconds after GO."""
COMMAND_SECONDS = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An environment with the wheel, and the folder in which its commands are given."""

    programs: Path
    folder: Path

    def run(self, *words: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of burst's, as a newcomer gives it: no AWS, no secret but `variables`."""
        own = ("AWS_", "BURST_", "IG_", "PYTHON", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        environment["PATH"] = f"{self.programs}:{environment['PATH']}"
        return subprocess.run(
            [self.programs / "burst", *words],
            cwd=self.folder,
            env=environment | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def run_json(self, *words: str, variables: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """A command's exit code and its result; fails where it gave none."""
        answer = self.run(*words, "--json", variables=variables)
        assert answer.stdout, answer.stderr
        return answer.returncode, json.loads(answer.stdout)


def build_wheel(folder: Path) -> Path:
    """The wheel of this repository."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True, timeout=waiting.PROCESS_SECONDS)
    (wheel,) = folder.glob("burst-*.whl")
    return wheel


@contextlib.contextmanager
def serve_ingest() -> Iterator[tuple[str, dict[str, str]]]:
    """A gateway and its Postgres: the address, and the two variables that the plan of `burst init` names."""
    api_key = secrets.token_urlsafe(24)
    with embedded_postgres.start(durable=False) as server:
        dsn = server.create_database()
        embedded_postgres.apply_schema(dsn)
        with gateway.start(dsn=dsn, api_key=api_key) as ingest:
            yield ingest.url, {"IG_API_KEY": api_key, "IG_ADMISSION_DSN": embedded_postgres.read_only_dsn(dsn)}


def play_demo(installation: Installation) -> dict[str, Any]:
    """`burst demo`: the snapshot of its last run, which passed and verifies."""
    code, snapshot = installation.run_json("demo")
    assert (code, snapshot["overall_pass"]) == (0, True), snapshot["blockers"]
    (folder,) = (installation.folder / "runs").glob(f"demo_*/{snapshot['execution_id']}")
    assert installation.run("verify", str(folder)).returncode == 0
    return dict(snapshot)


def play_run(installation: Installation) -> dict[str, Any]:
    """`burst init`, `plan`, `preflight` and `run` of the plan it wrote, changed by `--set`: a verified snapshot."""
    assert installation.run("init").returncode == 0
    with serve_ingest() as (host, variables):
        edits = (*SHORT, "--set", f"load.host={host}")
        code, value = installation.run_json("plan", "plan.yaml", *edits, variables=variables)
        assert (code, value["program"], value["host"]) == (0, "locustfiles/ingest.py", host)
        assert Path(value["shipped_profile"]).parts[-4:] == ("burst", "load", "profiles", "ingest.py")
        answer = installation.run("preflight", "plan.yaml", *edits, variables=variables)
        assert answer.returncode == 0, answer.stdout
        assert f"ok   program: locustfiles/ingest.py is not in {installation.folder}, so the profile" in answer.stdout
        code, snapshot = installation.run_json("run", "plan.yaml", *edits, variables=variables)
    assert code == snapshot["exit_code"] in (0, 3), snapshot["exit_reason"]
    assert snapshot["burst_load_checks"]["counts"]["ADMIT"] > 0
    assert installation.run("verify", f"runs/{snapshot['execution_id']}").returncode == code
    return dict(snapshot)


def play_rehearsal(installation: Installation) -> dict[str, Any]:
    """`burst init --target ecs --short`, and `burst rehearse` of the plan it wrote: the result, which passed."""
    assert installation.run("init", "--target", "ecs", "--short", "-o", "ecs.yaml").returncode == 0
    code, value = installation.run_json("rehearse", "ecs.yaml", *SHORT)
    assert (code, value["tasks_left"]) == (0, 0), value["snapshot"] and value["snapshot"]["blockers"]
    assert value["snapshot"]["overall_pass"] is True
    assert installation.run("verify", value["folder"]).returncode == 0
    return dict(value)
