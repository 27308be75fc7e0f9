"""Rates: events a minute, with the unit in which they were written."""

import pytest

from burst.domain.basics import rates
from burst.load import load_settings


@pytest.mark.parametrize(
    ("text", "per_minute", "words"),
    [("1500/s", 90_000.0, "1500/s"), ("1500/min", 1500.0, "1500/min"), ("0.1/s", 6.0, "0.1/s")],
)
def test_a_unit_is_kept(text: str, per_minute: float, words: str) -> None:
    rate = rates.parse(text)

    assert (rate, rates.describe(rate), rates.write(rate)) == (per_minute, words, text)
    assert rates.parse_text(text) == load_settings.parse_rate({"RATE": text}, "RATE") == per_minute


def test_a_bare_rate_is_events_a_minute() -> None:
    assert (rates.write(rates.parse(600)), rates.describe(rates.parse(600))) == (600.0, "600/min")
    assert rates.parse_text("600") == load_settings.parse_rate({"RATE": "600"}, "RATE") == 600.0


@pytest.mark.parametrize("text", ["1500/h", "-1/s", "0/s", "x/s", "1e3/s", "/s", "1500 /s", "1/s/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1500/s"):
        rates.parse(text)
    with pytest.raises(ValueError, match="1500/s"):
        rates.parse_text(text)


@pytest.mark.parametrize("value", [1e12, "16666666.7/s"])
def test_a_rate_above_all_bounds_is_told_the_bound(value: float | str) -> None:
    with pytest.raises(ValueError, match="at most 1,000,000,000 a minute"):
        rates.parse(value)


@pytest.mark.parametrize("text", ["1500/h", "-1/s", "x", "/s", "nan"])
def test_a_setting_that_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(load_settings.SettingError, match="RATE"):
        load_settings.parse_rate({"RATE": text}, "RATE")
