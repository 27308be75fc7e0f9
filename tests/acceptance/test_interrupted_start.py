"""An interrupt at any instant of a start ends the command with no traceback of burst: 130, and one line of words."""

import os
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
from tests import cases, waiting

INSTANTS = 9
"""At so many imports of a command, evenly spread over all that it makes until it ends, the interrupt comes once."""
WAITS_SECONDS = 60.0
OF_BURST = re.compile(r'File "[^"]*/burst/(?!__main__|__init__|console)')
"""A line of a traceback that is of burst: before it has run the first, `console`, nothing of burst can hear."""
INTERRUPTS_ITSELF = """\
import os
import signal
import sys

number, interrupted_at = 0, int(os.environ["INTERRUPTED_AT"])
imports = os.open(os.environ["IMPORTS"], os.O_WRONLY | os.O_CREAT)


def hear(event, arguments):
    global number
    if event == "import":
        number += 1
        if number == interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        os.write(imports, b".")


sys.addaudithook(hear)
"""
"""A command's own progress gives the instant: by a clock, a slow machine would never come to burst's own modules."""


def interrupt(at: int, *words: str, folder: Path) -> tuple[int, str, int]:
    """The exit code and stderr of a command that is interrupted at its import of this number, and how many it began."""
    (folder / "sitecustomize.py").write_text(INTERRUPTS_ITSELF)
    imports = folder / f"imports-{words[0]}-{at}"
    path = f"{folder}:{Path(__file__).parents[2]}"
    ended = subprocess.run(
        [sys.executable, "-m", "burst", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "INTERRUPTED_AT": str(at), "IMPORTS": str(imports)},
        text=True,
        timeout=waiting.PROCESS_SECONDS,
    )
    return ended.returncode, ended.stderr, len(imports.read_text())


@pytest.mark.parametrize("words", [("plan", "plan.yaml"), ("status", "no-such-run")], ids=["plan", "status"])
def test_an_interrupt_at_any_instant_of_the_start_is_no_bug_in_burst(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(str(cases.plan_value()))
    code, told, imports = interrupt(0, *words, folder=tmp_path)
    assert (code in {0, 2, 7}, "Traceback" in told) == (True, False)
    assert imports > 10 * INSTANTS

    ends = [interrupt(imports * number // INSTANTS, *words, folder=tmp_path) for number in range(1, INSTANTS + 1)]

    assert [told for _, told, _ in ends if OF_BURST.search(told)] == []
    own = [(code, told.strip()) for code, told, _ in ends if "Traceback" not in told]
    assert set(own) == {(130, "burst: interrupted")}
    assert len(own) >= INSTANTS - 1  # the first may come before Python has run the first module of burst


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
        threading.Event().wait(WAITS_SECONDS)
        raise AssertionError(f"the interrupt was lost: {kept}")

    monkeypatch.setattr(main.cli, "main", drop)

    began = time.monotonic()
    assert main.main([]) == 130
    assert time.monotonic() - began < WAITS_SECONDS, "it was heard only after what the command waited for"
    assert "Exception ignored" not in capsys.readouterr().err
