"""What the start of a command takes: processor time beyond that of a Python that does nothing, modules, and wall time.

The processor time is user and system time of the whole process, the best of some rounds: other work on the machine only
adds to it. Every command finds its bytecode, as that of an installed package does; the first round writes it, and
counts for nothing. The plan is the example of `burst init`; the run that is verified lies in a folder, as a local run
does, with every document of a burst.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burst.cli import init
from tests.evidence import evidencing

ROUNDS = 10
RUN = evidencing.run_id(1)
SECRETS = {"IG_ADMISSION_DSN": "postgresql://user:made-up@127.0.0.1:1/made_up", "IG_API_KEY": "made-up-for-a-bench"}
"""What the example plan refers to; nothing is asked of either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the rounds of one command took."""

    wall_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)


def run() -> dict[str, object]:
    """The commands taken in turns, so that a busy moment falls on all of them alike."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands, environment = _write_inputs(folder), _make_environment(folder)
        modules = {name: _count_modules(words, environment) for name, words in commands.items()}
        taken = {name: Taken() for name in commands}
        for _ in range(ROUNDS):
            for name, words in commands.items():
                _measure(words, environment, taken[name])
    bare_ms = min(taken["python_nothing"].processor_ms)
    figures: dict[str, object] = {"python_nothing_cpu_ms": round(bare_ms, 1)}
    for name in list(commands)[1:]:
        figures[f"{name}_cpu_beyond_python_ms"] = round(min(taken[name].processor_ms) - bare_ms, 1)
        figures[f"{name}_modules"] = modules[name]
    return figures | {f"{name}_wall_ms": round(statistics.median(each.wall_ms), 1) for name, each in taken.items()}


def _write_inputs(folder: Path) -> dict[str, Sequence[str]]:
    """The commands by name, after what they read was written."""
    plan, runs = folder / "plan.yaml", folder / "runs"
    plan.write_bytes((Path(init.__file__).parent / "examples" / "local.yaml").read_bytes())
    run = evidencing.folder(runs, RUN, evidencing.published(evidencing.case(RUN)))
    burst = (sys.executable, "-m", "burst")
    return {
        "python_nothing": (sys.executable, "-c", "pass"),
        "burst_help": (*burst, "--help"),
        "burst_run_help": (*burst, "run", "--help"),
        "burst_plan": (*burst, "plan", str(plan)),
        "burst_verify": (*burst, "verify", str(run)),
        "burst_latest": (*burst, "latest", str(runs)),
        "burst_history": (*burst, "history", str(runs), "--phase", "M10.F"),
        "locust_help": (sys.executable, "-m", "locust", "--help"),
    }


def _make_environment(folder: Path) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | SECRETS | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _count_modules(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """The modules that a command imports. Raises where the command fails."""
    python, *rest = words
    told = subprocess.run([python, "-X", "importtime", *rest], env=environment, capture_output=True, check=True)
    return told.stderr.count(b"import time:") - 1  # the first line is the heading


def _measure(words: Sequence[str], environment: Mapping[str, str], taken: Taken) -> None:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken.wall_ms.append((time.monotonic() - began) * 1000)
    taken.processor_ms.append((after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000)
