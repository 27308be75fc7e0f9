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


@pytest.mark.parametrize("secret", ["x", "no", "1", "true", "kind", '": "', "null", ", ", "}"])
def test_a_json_result_stays_one_document_of_the_same_names_and_numbers_whatever_a_secret_is(
    capfd: pytest.CaptureFixture[str], secret: str
) -> None:
    output = common.Output()
    output.json = output.log_json = True
    output.hide(f"host=db password='{secret}'")

    output.result({"kind": None, "index": 11, "valid": True, "rows": [1, {"seen": "matrix"}]}, "")
    output.item({"index": 1}, "")
    output.say("next", index=1)

    shown = capfd.readouterr()
    whole, _, line = shown.out.rpartition("{")
    assert json.loads(whole) == {"kind": None, "index": 11, "valid": True, "rows": [1, {"seen": "matrix"}]}
    assert json.loads("{" + line) == {"index": 1}
    assert json.loads(shown.err)["index"] == 1


def test_a_secret_of_one_letter_spells_itself_out_in_no_word_and_is_masked_as_a_value(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = common.Output()
    output.hide("x")

    output.error("exit 2: the prefix of the matrix; password=x, 'x', db://u:x@host")

    assert capfd.readouterr().err == "burst: exit 2: the prefix of the matrix; password=***, '***', db://u:***@host\n"
