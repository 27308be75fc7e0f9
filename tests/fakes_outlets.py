"""A fake outlet, and the messages of runs."""

from dataclasses import dataclass, field
from datetime import timedelta

from burst.domain.basics import errors
from burst.domain.verdict import run_messages
from tests import cases

AT = cases.STARTED + timedelta(hours=1)
PLAN = cases.plan(execution_id=cases.EXECUTION_ID)


@dataclass
class MemoryOutlet:
    """`ports.Outlet` that keeps its messages; it fails the first times, as often as it is told."""

    failures: int = 0
    name: str = "memory"
    heard: list[run_messages.RunMessage] = field(default_factory=list)

    def send(self, message: run_messages.RunMessage) -> None:
        if self.failures:
            self.failures -= 1
            raise errors.Unavailable("the memory is busy, and its key is s3cret")
        self.heard.append(message)


def started() -> run_messages.RunMessage:
    """The start of a run."""
    return run_messages.RunMessage.announce_start(PLAN, AT)


def passed() -> run_messages.RunMessage:
    """A verdict of PASS."""
    case = cases.passing()
    return run_messages.RunMessage.announce_end(PLAN, case.verdict(), AT)


def held() -> run_messages.RunMessage:
    """A verdict of HOLD."""
    case = cases.passing().having(metrics=cases.metrics(counts=cases.counts(0, 10002)))
    return run_messages.RunMessage.announce_end(PLAN, case.verdict(), AT)


def act_now() -> run_messages.RunMessage:
    """A run of which a task may still be running."""
    return run_messages.RunMessage.announce_failure(PLAN, 6, "task-1 may still be running: burst stop", AT)
