"""Canonical bytes: one value, one text, one digest; and nothing is read that could not be written again."""

import hashlib
import json
import random
import re
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors

EXACT = 2**53 - 1
WHOLE_CHARACTERS = st.characters(codec="utf-8")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(WHOLE_CHARACTERS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(WHOLE_CHARACTERS, max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(item, chance) for item in value] if isinstance(value, list) else value


@hypothesis.given(value=VALUES)
def test_a_value_reads_back_from_its_bytes(value: Any) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@hypothesis.given(value=VALUES, chance=st.randoms(use_true_random=False))
def test_the_order_of_keys_and_the_spacing_change_no_byte(value: Any, chance: random.Random) -> None:
    loose = json.dumps(_shuffled(value, chance), indent=2).encode()

    assert canonical.encode(canonical.decode(loose)) == canonical.encode(value)


ALMOST_JSON = st.text('[]{}":,0123456789eE.-+ntfaIN\\du', max_size=24).map(str.encode)


@hypothesis.given(content=st.binary(max_size=40) | ALMOST_JSON)
def test_whatever_can_be_read_can_be_written_and_everything_else_is_refused(content: bytes) -> None:
    try:
        value = canonical.decode(content)
    except errors.EvidenceCorrupt:
        return

    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "content"),
    [
        pytest.param({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}', id="sorted keys, no spaces"),
        pytest.param(5400.0, b"5400", id="a whole float is a whole number"),
        pytest.param(0.995, b"0.995", id="shortest float"),
        pytest.param(2.0**60, b"1152921504606847000", id="a large float without an exponent"),
        pytest.param(1e21, b"1e+21", id="exponent as ECMAScript prints it"),
        pytest.param(-0.0, b"0", id="no negative zero"),
        pytest.param("é\u20ac\n", '"é€\\n"'.encode(), id="UTF-8, not escapes"),
    ],
)
def test_bytes_are_those_of_rfc_8785(value: Any, content: bytes) -> None:
    assert canonical.encode(value) == content


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), {"a": [float("nan")]}, EXACT + 1, "\ud800"], ids=repr
)
def test_what_json_has_no_word_for_is_not_encoded(value: Any) -> None:
    with pytest.raises(ValueError, match="not canonical JSON"):
        canonical.encode(value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":1', id="half an object"),
        pytest.param(b'{"a":1}{"a":1}', id="two objects"),
        pytest.param(b'{"blockers":["M10F-B1"],"blockers":[]}', id="a key twice"),
        pytest.param(b'{"a":{"b":1,"b":1}}', id="a key twice further in"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[Infinity]", id="infinity"),
        pytest.param(b"[-Infinity]", id="negative infinity"),
        pytest.param(b"1e999", id="infinity spelt as a number"),
        pytest.param(b"9007199254740993", id="a whole number JSON cannot hold"),
        pytest.param(b"9" * 5000, id="a number without end"),
        pytest.param(b'"\\ud800"', id="half a character"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param("\ufeff{}".encode(), id="a byte order mark"),
        pytest.param(b"[" * 100_000, id="nesting without end"),
    ],
)
def test_bytes_that_are_not_one_exact_json_value_are_refused(content: bytes) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="not valid JSON"):
        canonical.decode(content)


def test_the_digest_is_sha256_in_lower_case_hex() -> None:
    assert canonical.digest(b"burst") == hashlib.sha256(b"burst").hexdigest()
    assert canonical.digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("/a/b", "/a is an object without the key 'b'"),
        ("/list/2", "/list is a list of 2, without the index '2'"),
        ("/list/-", "/list is a list of 2, without the index '-'"),
        ("/list/01", "/list is a list of 2, without the index '01'"),
        ("/list/-1", "/list is a list of 2, without the index '-1'"),
        ("/text/0", "/text is a text, and holds nothing"),
        ("/flag/x", "/flag is a number, true or false, and holds nothing"),
        ("/none/x", "/none is null, and holds nothing"),
        ("/x~1y/z", "/x~1y is a number, true or false, and holds nothing"),
        ("/a~2", "it is no JSON pointer"),
        ("a", "it is no JSON pointer"),
    ],
)
def test_a_pointer_to_nothing_names_the_step_and_no_value(pointer: str, words: str) -> None:
    value = {"a": {"secret": "hidden"}, "list": [1, 2], "text": "hidden", "flag": True, "none": None, "x/y": 5}

    with pytest.raises(errors.EvidenceCorrupt, match=re.escape(words)) as caught:
        canonical.value_at(value, pointer)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("pointer", "expected"), [("", {"a/b": [{"c~d": 1}]}), ("/a~1b/0/c~0d", 1), ("/a~1b/0", {"c~d": 1})]
)
def test_a_pointer_leads_through_escapes_and_indices(pointer: str, expected: object) -> None:
    assert canonical.value_at({"a/b": [{"c~d": 1}]}, pointer) == expected
