"""A baseline is divided by only when every byte of it is as it was made."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors, instants
from burst.domain.plan import receipts_sections
from burst.domain.verdict import baselines
from tests import cases


def test_the_golden_rate() -> None:
    made = baselines.from_document(baselines.read(cases.baseline()))

    assert made.rate_per_minute == 418.66295264623955
    assert made.rate_per_second == 50100 / 7180


def test_a_baseline_keeps_its_buckets_and_where_it_came_from() -> None:
    made = baselines.from_document(baselines.read(cases.baseline()))

    assert made.buckets == ((7180.0, 50100),)
    assert made.source == "run m10_20260221T000000Z"
    assert made.snapshot_sha256 == "0" * 64
    assert made.created_at == cases.moment(-3600)


def test_the_checksum_covers_everything_but_itself_and_no_order() -> None:
    value = cases.baseline_value()
    backwards = dict(reversed(value.items()))

    assert baselines.checksum(value) == baselines.checksum({**backwards, "checksum": "anything"})
    assert baselines.checksum(value) != baselines.checksum({**value, "added": 1})


@pytest.mark.parametrize("key", cases.baseline_value())
def test_a_field_left_out_is_refused(key: str) -> None:
    value = json.loads(cases.baseline())
    del value[key]

    with pytest.raises((errors.EvidenceCorrupt, errors.EvidenceUnknown)):
        baselines.read(canonical.encode(value))


@pytest.mark.parametrize("key", cases.baseline_value())
def test_a_field_left_out_and_sealed_again_is_refused_too(key: str) -> None:
    value = cases.baseline_value()
    del value[key]

    with pytest.raises((errors.EvidenceCorrupt, errors.EvidenceUnknown)):
        baselines.read(baselines.seal(value))


@hypothesis.given(data=st.data())
def test_no_byte_can_be_changed_and_the_number_read_with_it(data: st.DataObject) -> None:
    sound = cases.baseline()
    at = data.draw(st.integers(0, len(sound) - 1))
    changed = bytearray(sound)
    changed[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != sound[at]))

    try:
        document = baselines.read(bytes(changed))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        return

    assert document == baselines.read(sound)  # white space, or another spelling of the same value


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"admits": 0}, id="nothing admitted"),
        pytest.param({"admits": -1}, id="fewer than nothing"),
        pytest.param({"admits": 50100.5}, id="half an admit"),
        pytest.param({"admits": 50099}, id="buckets add up to more"),
        pytest.param({"buckets": []}, id="no buckets"),
        pytest.param({"seconds": 0}, id="no time"),
        pytest.param({"seconds": 1e-300}, id="no time to speak of"),
        pytest.param({"seconds": "7180"}, id="seconds as text"),
        pytest.param({"created_utc": "2026-02-21T00:00:00"}, id="made in no zone"),
        pytest.param({"max_age_seconds": 0}, id="an age limit of nothing"),
        pytest.param({"provenance": {}}, id="from nowhere"),
        pytest.param({"provenance": None}, id="provenance null"),
    ],
)
def test_a_sealed_baseline_that_cannot_be_one_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.EvidenceCorrupt):
        baselines.read(cases.baseline(**changes))


@pytest.mark.parametrize("schema", ["burst.baseline/v2", "burst.metrics/v1", None])
def test_another_schema_cannot_be_told(schema: str | None) -> None:
    with pytest.raises(errors.EvidenceUnknown):
        baselines.read(cases.baseline(schema=schema))


@pytest.mark.parametrize("extra", [b'"x":1e999', b'"x":12345678901234567890123', b'"admits":1', b'"x":"\\ud800"'])
def test_what_has_no_canonical_bytes_is_corrupt_and_never_a_crash(extra: bytes) -> None:
    with pytest.raises(errors.EvidenceCorrupt):
        baselines.read(cases.baseline()[:-1] + b"," + extra + b"}")


REFERENCE = receipts_sections.BaselineSection(file="baseline.json", max_age="2h")  # type: ignore[arg-type]
UNLIMITED = receipts_sections.BaselineSection(file="baseline.json")


@pytest.mark.parametrize(
    ("own_limit", "reference", "age", "usable"),
    [
        pytest.param(None, UNLIMITED, 1e9, True, id="no limit, any age"),
        pytest.param(None, None, 1e9, True, id="no reference, any age"),
        pytest.param(3600, UNLIMITED, 3600, True, id="exactly at its own limit"),
        pytest.param(3600, UNLIMITED, 3600.000001, False, id="a microsecond over its own limit"),
        pytest.param(None, REFERENCE, 7200, True, id="exactly at the plan's limit"),
        pytest.param(None, REFERENCE, 7200.000001, False, id="a microsecond over the plan's limit"),
        pytest.param(3600, REFERENCE, 5000, False, id="its own limit is the tighter"),
        pytest.param(9999, REFERENCE, 8000, False, id="the plan's limit is the tighter"),
        pytest.param(None, UNLIMITED, 0, True, id="made at the start of the run"),
        pytest.param(None, UNLIMITED, -0.000001, False, id="made after the run started"),
    ],
)
def test_the_age_limit_is_exact_and_the_tighter_one_counts(
    own_limit: int | None, reference: receipts_sections.BaselineSection | None, age: float, usable: bool
) -> None:
    document = baselines.read(cases.baseline(max_age_seconds=own_limit, created_utc=cases.at(0)))

    why = baselines.expiry_problem(document, reference, instants.later(cases.STARTED, age))

    assert (why is None) is usable


def test_an_inline_baseline_needs_no_document() -> None:
    inline = receipts_sections.BaselineSection(admits=50100, seconds=7180, source="M10.E")

    made = baselines.from_inline(inline)

    assert made is not None
    assert made.rate_per_minute == 418.66295264623955
    assert baselines.from_inline(UNLIMITED) is None
