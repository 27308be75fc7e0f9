"""`burst --help` answers at once: nothing heavy is imported before it is needed."""

import json
import resource
import subprocess
import sys

HEAVY = {
    *("boto3", "sqlalchemy", "psycopg", "scipy", "pydantic", "yaml", "jinja2", "rich", "psutil", "locust", "rfc8785"),
    *("moto", "uvicorn"),
}
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


def imported(*arguments: str) -> set[str]:
    """The packages a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "burst", *arguments]
    asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in asked.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_no_help_imports_anything_heavy() -> None:
    """In one process, so that what the first to import names is the one that is wrong."""
    asked = subprocess.run([sys.executable, "-c", ASK_EVERY_HELP], capture_output=True, text=True, timeout=60)

    seen = json.loads(asked.stdout)
    assert {"", "run", "demo", "rehearse", "reap", "evidence prune", "baseline make"} <= seen.keys()
    assert {words: HEAVY.intersection(packages) for words, packages in seen.items() if HEAVY & set(packages)} == {}


def processor_seconds(*words: str) -> float:
    """What a Python takes of a processor, which other work on the machine hardly stretches; the best of five."""
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], capture_output=True, check=True, timeout=60)
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
