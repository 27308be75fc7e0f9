"""The system's clock: UTC, and a sleep that a signal handler ends wherever it interrupts."""

import subprocess
import sys
import threading
import time
from datetime import UTC, timedelta

from burst.adapters.local import system_clock
from tests import waiting


def test_now_is_utc() -> None:
    assert system_clock.SystemClock().now().utcoffset() == timedelta(0)
    assert system_clock.SystemClock().now().tzinfo is UTC


def test_a_sleep_lasts_as_long_as_asked_and_never_less_than_nothing() -> None:
    clock, began = system_clock.SystemClock(), time.monotonic()

    clock.sleep(-1.0)
    clock.sleep(0.05)

    assert 0.05 <= time.monotonic() - began < 5.0


def test_a_wake_ends_the_sleep_under_way() -> None:
    clock, began = system_clock.SystemClock(), time.monotonic()
    threading.Timer(0.05, clock.wake).start()

    clock.sleep(30.0)

    assert time.monotonic() - began < 10.0


def test_a_wake_before_the_sleep_is_not_lost() -> None:
    clock, began = system_clock.SystemClock(), time.monotonic()
    clock.wake()

    clock.sleep(30.0)

    assert time.monotonic() - began < 10.0


WOKEN_FROM_A_HANDLER = """
import signal, time
from burst.adapters.local import system_clock
clock = system_clock.SystemClock()
signal.signal(signal.SIGALRM, lambda *_: clock.wake())
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
until = time.monotonic() + 0.8
while time.monotonic() < until:
    clock.sleep(0.0001)
signal.setitimer(signal.ITIMER_REAL, 0)
print("awake")
"""


def test_a_wake_from_a_signal_handler_never_waits_for_what_it_interrupted() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WOKEN_FROM_A_HANDLER],
        capture_output=True,
        text=True,
        timeout=waiting.PROCESS_SECONDS,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "awake\n")
