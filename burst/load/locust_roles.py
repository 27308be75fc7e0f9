"""Locust's own master and workers in the tasks of a burst: the barrier, the growth of senders, and an end without loss.

The master begins only at GO: until then it holds the first spawn. A worker is ready once it has joined its master, and
gives the master its last figures before it leaves. The master waits for them: Locust would go half a second later, and
lose what users finish within their stop timeout. The load account rests on none of this: each worker writes its own.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from burst.load import load_settings, task_processes

GO_POLL_SECONDS = 0.02
SENDERS_WANTED = "burst_senders"
"""The message by which a worker asks for more senders."""


def look_at_the_clock(**_: Any) -> None:
    """Lets timers begin now. They begin at gevent's last look at the clock, which was before all imports: a run time of
    three seconds was over at once where those took as long."""
    gevent.get_hub().loop.update_now()


class LocustRole:
    """What one process of a distributed burst does beside Locust."""

    def __init__(self, environment: Mapping[str, str], version: str) -> None:
        self._environment = environment
        self._version = version
        self._is_ending = False

    def attach(self, events: Any) -> None:
        """Listen to the events of Locust, before any locustfile does."""
        events.init.add_listener(look_at_the_clock)
        role = self._environment.get(task_processes.ROLE)
        if role == task_processes.MASTER:
            events.init.add_listener(self._open_master)
            events.test_start.add_listener(self._hold_until_go)
        elif role == task_processes.WORKER:
            events.init.add_listener(self._join)

    # The master

    def _open_master(self, environment: Any, runner: Any, **_: Any) -> None:
        """Says where workers reach it. Workers may join at once."""
        environment.events.quitting.add_listener(self._gather_last_reports)
        master = task_processes.OpenMaster(port=runner.server.port, version=self._version)
        place = Path(self._environment[task_processes.MASTER_FILE])
        written = place.with_suffix(".new")
        written.write_text(task_processes.write_master(master))
        written.rename(place)

    def _hold_until_go(self, environment: Any, **_: Any) -> None:
        """By now as many workers as expected have joined. Locust hears no TERM while a shape runs."""
        if environment.shape_class is not None:
            gevent.signal_handler(signal.SIGTERM, gevent.spawn, self._end_shape, environment)
        Path(self._environment[load_settings.READY_FILE]).touch()
        go_file = Path(self._environment[load_settings.GO_FILE])
        while not go_file.exists():
            gevent.sleep(GO_POLL_SECONDS)

    def _gather_last_reports(self, environment: Any, **_: Any) -> None:
        """Ends the workers, and takes what they report last."""
        runner = environment.runner
        if self._is_ending:
            return
        self._is_ending = True
        runner.send_message("quit")
        give_up_at = time.monotonic() + float(self._environment[task_processes.LAST_REPORTS])
        while runner.worker_count and time.monotonic() < give_up_at:
            gevent.sleep(GO_POLL_SECONDS)

    def _end_shape(self, environment: Any) -> None:
        self._gather_last_reports(environment)
        environment.runner.quit()

    # A worker

    def _join(self, environment: Any, runner: Any, **_: Any) -> None:
        """It has joined its master by now."""
        environment.events.quitting.add_listener(self._report_last)
        Path(self._environment[load_settings.READY_FILE]).touch()
        del runner

    def _report_last(self, environment: Any, **_: Any) -> None:
        """Ends the users, and reports what they did since the last report."""
        runner, report = environment.runner, dict[str, Any]()
        runner.stop()
        environment.events.report_to_master.fire(client_id=runner.client_id, data=report)
        runner.send_message("stats", report)


def answer_wishes(runner: Any, most_senders: int) -> None:
    """Lets a master start more users where a worker asks for them: as many for each worker."""

    def start_more(msg: Any, **_: Any) -> None:
        users = min(int(msg.data["senders"]), most_senders) * runner.worker_count
        if runner.state == "running" and users > runner.target_user_count:
            runner.start(users, users)

    runner.register_message(SENDERS_WANTED, start_more, concurrent=True)


def ask_for_senders(runner: Any, senders: int) -> None:
    """Asks the master for so many senders of this worker."""
    runner.send_message(SENDERS_WANTED, {"senders": senders})


def is_worker(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether burst started this process as a worker."""
    return environment.get(task_processes.ROLE) == task_processes.WORKER
