"""The last words of a program, as its log has them."""

from pathlib import Path

import pytest

from burst.kit import log_tails

TRACEBACK = "Traceback (most recent call last):\n  File \"a.py\", line 1\nModuleNotFoundError: No module named 'own'\n"


@pytest.mark.parametrize(
    ("content", "last"),
    [
        pytest.param(TRACEBACK.encode(), "ModuleNotFoundError: No module named 'own'", id="a traceback"),
        pytest.param(b"sent\nburst guard: the program ended; exit 1\n", "sent", id="the guard's own words are none"),
        pytest.param(b"one\n\n  \n", "one", id="blank lines are no words"),
        pytest.param(b"", "", id="nothing was written"),
        pytest.param(b"x" * 100_000, "x" * log_tails.LONGEST_LINE, id="a line without end"),
        pytest.param(b"\xff\xfe\n", "\ufffd\ufffd", id="no UTF-8"),
        pytest.param(b"a\n" * 100_000 + b"last", "last", id="a long log"),
    ],
)
def test_the_last_line_with_words_is_told(content: bytes, last: str, tmp_path: Path) -> None:
    log = tmp_path / "0000.log"
    log.write_bytes(content)

    assert log_tails.read_last_line(log) == last


def test_a_log_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert log_tails.read_last_line(tmp_path / "0000.log") == ""
