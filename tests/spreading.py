"""How tests are spread over pytest's workers: file by file, so that what a file's fixtures start is started once.

Where every test starts all it needs itself and takes seconds, they are spread one by one (`APART`). What takes longest
comes first, so that no worker is left with it at the end. What keeps a core busy and waits for nothing (`BUSY`) is
mixed among the rest, so that the cores have work while other workers wait. Every worker orders what it collected in the
same way.
In a random order (`make shuffled`) nothing comes first: files are spread as before, but they and the tests within them
stand as the seed has it.
"""

import pytest
from xdist import scheduler

LONGEST = (
    "tests/infra/test_applied.py",
    "tests/runbooks/test_commands.py",
    "tests/runbooks/test_rehearsed.py",
    "tests/faults/test_planted.py",
    "tests/faults/test_controller_killed.py",
    "tests/matrix/test_sweeping.py",
    "tests/matrix/",
    "tests/faults/",
    "tests/staging/",
    "tests/acceptance/test_rehearse.py",
    "tests/sandbox/test_locustfiles.py",
    "tests/contract/test_launcher.py",
    "tests/aws/",
    "tests/rehearsal/",
)
APART = (
    "tests/faults/",
    "tests/matrix/",
    "tests/runbooks/test_rehearsed.py",
    "tests/acceptance/test_rehearse.py",
    "tests/aws/test_publication_faults.py",
    "tests/sandbox/test_locustfiles.py",
)
TOGETHER = ("tests/faults/test_planted.py",)
BUSY = ("tests/unit/", "tests/aws/test_publication_faults.py")


class Scheduling(scheduler.LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """What is kept on one worker is a file, or a single test of those spread one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return name_scope(nodeid)


def name_scope(nodeid: str) -> str:
    """What is kept on one worker with a test: its file, or nothing else."""
    return nodeid if spread_one_by_one(nodeid) else nodeid.partition("::")[0]


def spread_one_by_one(nodeid: str) -> bool:
    """Whether a test may run beside others of its file."""
    return nodeid.startswith(APART) and not nodeid.startswith(TOGETHER)


def longest_first(items: list[pytest.Item]) -> None:
    """Orders tests, and keeps the order within what takes equally long."""
    items.sort(key=lambda item: rank(item.nodeid))
    scopes = list(dict.fromkeys(name_scope(item.nodeid) for item in items))
    waiting = [scope for scope in scopes if not scope.startswith(BUSY)]
    places = {scope: place for place, scope in enumerate(mix(waiting, *(_list_below(scopes, name) for name in BUSY)))}
    items.sort(key=lambda item: places[name_scope(item.nodeid)])


def mix(*groups: list[str]) -> list[str]:
    """All groups as one, each spread evenly over it and in its own order."""
    placed = [((place + 0.5) / len(group), scope) for group in groups for place, scope in enumerate(group)]
    return [scope for _, scope in sorted(placed, key=lambda one: one[0])]


def _list_below(scopes: list[str], name: str) -> list[str]:
    return [scope for scope in scopes if scope.startswith(name)]


def shuffled(config: pytest.Config) -> bool:
    """Whether the tests are in a random order."""
    return bool(config.getoption("randomly_reorganize", default=False))


def rank(nodeid: str) -> int:
    """The place of a file or test in the order of `LONGEST`."""
    return next((rank for rank, prefix in enumerate(LONGEST) if nodeid.startswith(prefix)), len(LONGEST))
