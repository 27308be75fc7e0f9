"""An interrupt at any instant of a start ends the command with no traceback of burst: 130, and one line of words."""

import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from burst.cli import main
from tests import cases

INSTANTS = [0.03 * number for number in range(30)]
"""Seconds after the start of the process, up to where every command has begun its work."""
OF_BURST = re.compile(r'File "[^"]*/burst/(?!__main__|__init__)')
"""A line of a traceback that is of burst: before Python has found its first module, nothing of burst can hear."""


def interrupt(after_seconds: float, *words: str, folder: Path) -> tuple[int, str]:
    """The exit code and stderr of a command that is interrupted so long after its start."""
    process = subprocess.Popen(
        [sys.executable, "-m", "burst", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
    )
    time.sleep(after_seconds)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


@pytest.mark.parametrize("words", [("plan", "plan.yaml"), ("status", "no-such-run")], ids=["plan", "status"])
def test_an_interrupt_at_any_instant_of_the_start_is_no_bug_in_burst(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(str(cases.plan_value()))
    ends = [interrupt(seconds, *words, folder=tmp_path) for seconds in INSTANTS]

    assert [told for _, told in ends if OF_BURST.search(told)] == []
    own = [(code, told) for code, told in ends if "Traceback" not in told and code != -signal.SIGINT]
    assert {code for code, _ in own} <= {130, 2, 7, 0}
    assert all(told.strip() == "burst: interrupted" for code, told in own if code == 130)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_a_library_wraps_into_an_error_of_its_own_is_an_interrupt(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrap(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(number)
        except BaseException as exc:
            raise RuntimeError("Error calling __set_name__") from exc

    monkeypatch.setattr(main.cli, "main", wrap)

    assert main.main([]) == code
    assert "Error calling" not in capsys.readouterr().err


def test_an_interrupt_that_python_drops_within_a_callback_comes_once_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Watched:
        """What a weak reference can watch."""

    def drop(*_: object, **__: object) -> None:
        watched = Watched()
        kept = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGINT))
        del watched
        threading.Event().wait(30)
        raise AssertionError(f"the interrupt was lost: {kept}")

    monkeypatch.setattr(main.cli, "main", drop)

    assert main.main([]) == 130
    assert "Exception ignored" not in capsys.readouterr().err
