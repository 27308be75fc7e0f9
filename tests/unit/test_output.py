"""Output: what a terminal is shown cannot move its cursor, change its title or hide what stands there."""

import json

import pytest

from burst.cli import common

HOSTILE = "why: \x1b[2Jcleared \x1b]0;title\x07\x9b31m\u202eback\u202c\x08\x7f\ud800 ünï 你好\nnext"
OBEYED = ("\x1b", "\x9b", "\x07", "\x08", "\x7f", "\u202e", "\r")


def test_words_from_outside_reach_a_terminal_without_what_it_obeys(capfd: pytest.CaptureFixture[str]) -> None:
    output = common.Output()

    output.say(HOSTILE)
    output.error(HOSTILE)
    output.result(None, HOSTILE)

    shown = capfd.readouterr()
    for stream in shown:
        assert not [character for character in OBEYED if character in stream]
        assert "ünï 你好\nnext" in stream


def test_a_json_result_spells_out_what_a_terminal_obeys_and_is_the_same_value(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = common.Output()
    output.json = output.log_json = True

    output.result({"why": HOSTILE}, "")
    output.say(HOSTILE)

    shown = capfd.readouterr()
    for stream in shown:
        assert not [character for character in OBEYED if character in stream]
    assert json.loads(shown.out) == {"why": HOSTILE}
    assert json.loads(shown.err)["message"] == HOSTILE
