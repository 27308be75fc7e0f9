"""The load account of a Locust process, from Locust's own events, for any locustfile: nothing in it has to change.

A locustfile may reach it as `environment.burst_account`: `mark("checkout")` counts a marker of its own.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

import gevent

from burst.load import failure_kinds, kept_files, load_account, raised_markers

BEAT_LOOK_SECONDS = 0.25
DUE_AT = "burst_due_at"
"""In the context of a request: the UTC seconds at which its event was due, from which its latency is measured then."""


class LocustAccount:
    """Counts the requests of one process. Locust's workers each have one, and append to one file."""

    def __init__(self, path: str | None, process: int | None = None) -> None:
        self.writer = load_account.AccountWriter(path, process)
        self.before_write: Callable[[], None] = lambda: None
        """Called before each line: a program that has a schedule counts what became due."""
        self.counts_sending = True
        """Whether a request counts as sent; a program that has a schedule counts that itself."""
        self._beating: gevent.Greenlet | None = None

    def attach(self, events: Any) -> None:
        """Listen to the events of Locust."""
        events.init.add_listener(self._begin)
        events.request.add_listener(self._count)
        events.user_error.add_listener(self._note_error)
        events.quitting.add_listener(self._write)
        events.quit.add_listener(self._finish)  # after the last user has ended

    def mark(self, name: str) -> None:
        """Count a marker of the program's own."""
        self.writer.pending.note_marker(str(name), at=time.time())

    def keep(self, name: str, content: str) -> None:
        """Keep a file, in a line of its own."""
        self.writer.pending.kept[name] = kept_files.shorten(content)
        self.writer.write()

    def _note_error(self, exception: BaseException, **_: Any) -> None:
        """An exception that a user let go on its way: Locust runs its next task, and no request says so."""
        self.mark(raised_markers.name_marker(exception))

    def _begin(self, environment: Any, **_: Any) -> None:
        """In the process that sends: Locust has made its workers by then."""
        environment.burst_account = self
        self._beating = gevent.spawn(self._beat)
        gevent.signal_handler(signal.SIGTERM, self._hear_term, environment)

    def _beat(self) -> None:
        while True:
            self._write_if_due()
            gevent.sleep(BEAT_LOOK_SECONDS)

    def _write_if_due(self) -> None:
        self.before_write()
        self.writer.write_if_due(time.time())

    def _write(self, **_: Any) -> None:
        """A line at the end of the load: from now on its users end, and what becomes due is due to nobody."""
        self.before_write()
        self.before_write = lambda: None
        self.writer.write()

    def _finish(self, **_: Any) -> None:
        if self._beating is not None:
            self._beating.kill(block=False)
        self._write()

    def _hear_term(self, environment: Any) -> None:
        """Locust hears TERM itself, but not while a shape runs without its web page: then TERM would end the process at
        once, with its users in the middle of a request."""
        self._write()
        if environment.shape_class is not None and not environment.parsed_options.worker:
            gevent.spawn(environment.runner.quit)

    def _count(
        self,
        name: str,
        response_time: float | None,
        exception: BaseException | None = None,
        response: Any = None,
        start_time: float | None = None,
        context: Any = None,
        **_: Any,
    ) -> None:
        now = time.time()
        seconds = _read_seconds(None if response_time is None else response_time / 1000)
        since_start = _read_seconds(None if start_time is None else now - start_time)
        sent_at = now - (seconds or 0.0) if since_start is None else now - since_start
        if self.counts_sending:
            self.writer.quick.note_sent(sent_at)
        due_at = context.get(DUE_AT) if isinstance(context, dict) else None
        if isinstance(due_at, int | float):
            seconds = _read_seconds(max(0.0, now - due_at))
        step = self.writer.find_step(sent_at)
        if exception is None:
            self.writer.quick.note_success(now, str(name), seconds, step)
            return
        status = getattr(response, "status_code", None) or None
        refused = status if isinstance(status, int) and status >= 300 else None
        kind = failure_kinds.name_failure(exception)
        tally = self.writer.pending
        tally.note_answer(now, str(name), latency_seconds=seconds, status=refused, error=kind, step=step)


def _read_seconds(seconds: float | None) -> float | None:
    """The seconds, None where they are none: a locustfile may fire events of its own, with the time of any clock."""
    return seconds if seconds is not None and 0 <= seconds <= load_account.LONGEST_SECONDS else None
