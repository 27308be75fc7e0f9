"""`burst --help` answers at once: nothing heavy is imported before it is needed."""

import resource
import subprocess
import sys

import pytest

HEAVY = {"boto3", "sqlalchemy", "psycopg", "scipy", "pydantic", "yaml", "jinja2", "rich", "psutil", "locust", "rfc8785"}
LIGHT = ["init", "plan", "count", "adjudicate", "verify", "evidence", "baseline", "report", "schema", "completion"]
HELP_SECONDS = 0.2


def imported(*arguments: str) -> set[str]:
    """The packages a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "burst", *arguments]
    asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in asked.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("words", [[], *([name] for name in LIGHT)], ids=lambda words: " ".join(words) or "burst")
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    packages = imported(*words, "--help")

    assert "click" in packages
    assert not HEAVY & packages


def test_help_takes_less_than_a_fifth_of_a_second() -> None:
    """Measured in processor time, which other work on the machine does not stretch; the best of five."""
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "burst", "--help"], capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)

    assert min(taken) < HELP_SECONDS


def test_guard_starts_without_the_weight_of_the_rest() -> None:
    packages = imported("guard", "--budget", "10", "--", "true")

    assert not {"boto3", "sqlalchemy", "scipy", "pydantic", "yaml", "jinja2", "rich"} & packages
