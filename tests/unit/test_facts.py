"""Facts from documents: the one value at a pointer, with where it stood, or no value and why."""

import pytest

from burst.control import facts, pausing
from burst.domain.basics import errors
from tests import cases, fakes, fakes_receipts

ADDRESS = f"s3://bucket/evidence/{cases.SCOPE}/caught_up.json"
DOCUMENT = (
    b'{"max_lag": 7, "share": 0.5, "settled": true, "state": "caught up",'
    b' "parts": [{"lag": 3}], "none": null, "a/b": 1}'
)


def fact(path: str, **expectation: object) -> dict[str, object]:
    return {
        "blocker": "M10F-B7",
        "name": "max_lag",
        "document": "s3://bucket/evidence/{scope}/caught_up.json",
        "path": path,
        **(expectation or {"at_most": 10}),
    }


def answer(path: str, held: dict[str, bytes]) -> tuple[object, str, str]:
    """Value, detail and source of the one fact at `path`; `held` are the documents there are."""

    def read(address: str) -> bytes:
        if address not in held:
            raise errors.EvidenceIncomplete(f"{address} is not there")
        return held[address]

    plan = cases.plan(facts=[fact(path)])
    source = fakes_receipts.MemoryReceiptSource([], now=fakes_receipts.HandClock(cases.moment(0)).now)
    (entry,) = facts.ask_facts(
        plan, source, read, pausing.QuestionPatience(clock=fakes.TickingClock(), give_up_at=cases.moment(60))
    )
    return entry.value, entry.detail, entry.source


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/max_lag", 7),
        ("/share", 0.5),
        ("/settled", True),
        ("/state", "caught up"),
        ("/parts/0/lag", 3),
        ("/a~1b", 1),
    ],
)
def test_a_fact_is_the_value_at_its_pointer_with_the_digest_of_its_document(path: str, value: object) -> None:
    found, detail, source = answer(path, {ADDRESS: DOCUMENT})

    assert (found, type(found)) == (value, type(value))
    assert detail.startswith("of a document with sha256 ")
    assert source == f"{ADDRESS}#{path}"


@pytest.mark.parametrize(
    ("path", "held", "why"),
    [
        pytest.param("/max_lag", {}, "is not there", id="no document"),
        pytest.param("/max_lag", {ADDRESS: b"{"}, "not valid JSON", id="no JSON"),
        pytest.param("/max_lag", {ADDRESS: b'{"max_lag": NaN}'}, "not valid JSON", id="NaN"),
        pytest.param("/max_lag", {ADDRESS: b'{"max_lag": 1, "max_lag": 2}'}, "not valid JSON", id="a key twice"),
        pytest.param("/lag", {ADDRESS: DOCUMENT}, "nothing at /lag", id="nothing at the pointer"),
        pytest.param("/parts/7", {ADDRESS: DOCUMENT}, "nothing at /parts/7", id="past the end of a list"),
        pytest.param("/parts/x", {ADDRESS: DOCUMENT}, "nothing at /parts/x", id="no index"),
        pytest.param("/parts", {ADDRESS: DOCUMENT}, "list at /parts", id="a list"),
        pytest.param("/parts/0", {ADDRESS: DOCUMENT}, "dict at /parts/0", id="an object"),
        pytest.param("/none", {ADDRESS: DOCUMENT}, "NoneType at /none", id="null"),
        pytest.param("/max_lag/x", {ADDRESS: DOCUMENT}, "nothing at /max_lag/x", id="below a number"),
    ],
)
def test_what_is_no_single_value_is_no_answer_and_says_why(path: str, held: dict[str, bytes], why: str) -> None:
    found, detail, _ = answer(path, held)

    assert found is None
    assert why in detail
