"""`burst doctor`: the parts of this machine that commands need, and whether each is in order.

It changes nothing but a file that it removes again. Each part names the commands that need it, so that a machine that
only verifies evidence does not seem to lack Locust.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import secrets as randomness
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import burst
from burst import ports
from burst.adapters.aws import account
from burst.domain.basics import errors
from burst.domain.preflight import findings, judgements
from burst.sandbox import postgres_programs

OLDEST_PYTHON = (3, 11)
EXTRAS = {
    "load": ("locust", ("demo", "run", "rehearse", "locust")),
    "sandbox": ("uvicorn", ("demo", "sandbox", "rehearse")),
    "rehearsal": ("moto", ("rehearse",)),
    "sign": ("securesystemslib", ("evidence",)),
    "statistics": ("scipy", ("baseline", "compare")),
}
"""Each extra: a module that it installs, and the commands that need it; run and rehearse only for a locustfile."""
ON_AWS = ("preflight", "run", "status", "stop", "resume", "reconcile", "reap")
"""The commands that call AWS, where the plan is for ECS."""
MAX_SKEW_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePart:
    """One part of the machine. `needed_by` names commands; empty: every command."""

    name: str
    status: findings.FindingStatus
    seen: str
    mend: str = ""
    needed_by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it is in order."""
        return self.status is findings.FindingStatus.PASSED


def examine(clock: ports.Clock, runs_dir: Path) -> tuple[MachinePart, ...]:
    """Every part, in a fixed order."""
    return (
        _python(),
        *(_package(name) for name in _read_requirements()),
        *(_extra(extra, module, commands) for extra, (module, commands) in EXTRAS.items()),
        _postgres(),
        _runs_folder(runs_dir),
        _aws(clock),
    )


def missing_for(parts: tuple[MachinePart, ...], commands: tuple[str, ...]) -> tuple[MachinePart, ...]:
    """The parts that keep these commands from working; without commands, every part that is broken."""
    return tuple(part for part in parts if not part.passed and _matters(part, commands))


def _matters(part: MachinePart, commands: tuple[str, ...]) -> bool:
    if not commands:
        return part.status is findings.FindingStatus.REFUSED
    return not part.needed_by or bool(set(part.needed_by).intersection(commands))


def _python() -> MachinePart:
    versions = f"burst {burst.__version__}, Python {platform.python_version()}"
    fits = sys.version_info[:2] >= OLDEST_PYTHON
    return MachinePart(
        name="python",
        status=findings.FindingStatus.PASSED if fits else findings.FindingStatus.REFUSED,
        seen=f"{versions} at {sys.executable}, {platform.platform()}",
        mend="" if fits else "burst needs Python 3.11 or newer",
    )


def _read_requirements() -> list[str]:
    """The packages that burst needs, from its own metadata."""
    lines = [line for line in importlib.metadata.requires("burst") or () if "extra ==" not in line]
    return [re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in lines]


def _package(name: str) -> MachinePart:
    try:
        return MachinePart(name=name, status=findings.FindingStatus.PASSED, seen=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return MachinePart(
            name=name,
            status=findings.FindingStatus.REFUSED,
            seen="not installed",
            mend="install burst again: pip install burst",
        )


def _extra(extra: str, module: str, commands: tuple[str, ...]) -> MachinePart:
    name = f"extra {extra}"
    if importlib.util.find_spec(module) is not None:
        version = importlib.metadata.version(module)
        return MachinePart(
            name=name, status=findings.FindingStatus.PASSED, seen=f"{module} {version}", needed_by=commands
        )
    return MachinePart(
        name=name,
        status=findings.FindingStatus.WARNING,
        seen=f"{module} is not installed",
        mend=f"pip install 'burst[{extra}]'",
        needed_by=commands,
    )


def _postgres() -> MachinePart:
    needed_by = ("demo", "sandbox", "rehearse")
    try:
        programs = postgres_programs.find_programs()
    except errors.BurstError as exc:
        return MachinePart(
            name="postgres",
            status=findings.FindingStatus.WARNING,
            seen=str(exc),
            mend="pip install 'burst[sandbox]'",
            needed_by=needed_by,
        )
    return MachinePart(
        name="postgres", status=findings.FindingStatus.PASSED, seen=str(programs.path), needed_by=needed_by
    )


def _runs_folder(runs_dir: Path) -> MachinePart:
    finding = try_folder(runs_dir)
    return MachinePart(
        name="runs folder",
        status=finding.status,
        seen=finding.seen,
        mend="" if finding.passed else "free some space, or name another folder: --runs-dir or BURST_RUNS_DIR",
        needed_by=("run", "demo", "rehearse"),
    )


def try_folder(folder: Path) -> findings.Finding:
    """Whether runs can be written there: a file is made and removed again, in the nearest folder that exists."""
    nearest = next((path for path in (folder, *folder.absolute().parents) if os.path.lexists(path)), folder)
    probe = nearest / f".preflight-{randomness.token_hex(4)}"
    try:
        probe.write_bytes(b"burst")
        probe.unlink()
        free_bytes = shutil.disk_usage(nearest).free
    except OSError as exc:
        return findings.report_refusal("runs-folder", f"{folder} cannot be written: {exc.strerror}")
    return judgements.judge_disk(str(folder), free_bytes)


def _aws(clock: ports.Clock) -> MachinePart:
    """Identity and clock where AWS is configured; a machine without it runs everything but ECS plans."""
    if not account.has_configured_credentials():
        return MachinePart(
            name="aws",
            status=findings.FindingStatus.PASSED,
            seen="not configured: plans for ECS cannot run from here",
            needed_by=ON_AWS,
        )
    try:
        caller = account.AwsAccount().identify_caller(clock)
    except errors.BurstError as exc:
        return MachinePart(
            name="aws",
            status=findings.FindingStatus.REFUSED,
            seen=str(exc),
            mend=findings.FINDING_KINDS["account"].mend,
            needed_by=ON_AWS,
        )
    skew = judgements.judge_aws_skew(caller.least_skew_seconds, MAX_SKEW_SECONDS)
    return MachinePart(
        name="aws",
        status=skew.status,
        seen=f"{caller.arn} in {caller.region}; clocks: {skew.seen}",
        mend="" if skew.passed else skew.kind.mend,
        needed_by=ON_AWS,
    )
