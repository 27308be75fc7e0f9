"""Settings of the whole suite; what pytest itself can be told stands in pyproject.toml."""

import gc
import os
import signal
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from tests import spreading, waiting

pytest_plugins = ["tests.leaks", "tests.fixtures_postgres", "tests.fixtures_ingest", "tests.fixtures_aws"]

# CI finds the same examples every time; a failure there can be had again by anyone. How long an example takes to
# be made says nothing of burst, so on a busy machine no test fails for it.
SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, suppress_health_check=SLOW)
hypothesis.settings.register_profile("local", deadline=None, suppress_health_check=SLOW)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

# A shell starts what it puts in the background deaf to Ctrl-C, and every process a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> spreading.Scheduling:
    """Tests are spread over workers as `spreading` says."""
    config.option.loadscopereorder = False
    return spreading.Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected is kept: to look for garbage meanwhile would take an eighth of the time and find none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test has `waiting.SLOWEST` times the seconds of its mark, unless the command line names seconds. On a worker,
    what takes longest comes first, unless the order is to be random."""
    if config.pluginmanager.hasplugin("timeout") and config.getoption("timeout") is None:
        for item in items:
            mark = item.get_closest_marker("timeout")
            seconds = float(mark.args[0] if mark is not None else config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(waiting.SLOWEST * seconds), append=False)
    if hasattr(config, "workerinput") and not spreading.shuffled(config):
        spreading.longest_first(items)
