"""Amounts of settings as Postgres reads them, held against the limits that it names."""

import pytest

from burst.domain.staging import setting_amounts


@pytest.mark.parametrize(
    ("value", "unit", "least", "most", "whole", "words"),
    [
        ("29", "s", "30", "86400", True, "takes no such value; allowed: 30 to 86400, counted in s"),
        ("2d", "s", "30", "86400", True, "takes no such value"),
        ("1.01", None, "0", "1", False, "takes no such value; allowed: 0 to 1"),
        ("5 minutes", "s", "30", "86400", True, "takes no such unit"),
        ("64 mb", "8kB", "16", "1073741823", True, "takes no such unit; allowed: 16 to 1073741823, counted in 8kB"),
        ("127kB", "8kB", "16", "1073741823", True, None),
        ("119kB", "8kB", "16", "1073741823", True, "takes no such value"),
    ],
)
def test_a_number_beyond_the_limits_of_a_setting_is_told_with_them(
    value: str, unit: str | None, least: str, most: str, whole: bool, words: str | None
) -> None:
    misfit = setting_amounts.describe_misfit(value, unit=unit, least=least, most=most, whole=whole)

    assert (words is None) == (misfit is None)
    assert words is None or words in (misfit or "")


@pytest.mark.parametrize("value", ["30", "1d", "86400.4", "0x40", "1e3", "1440min", " 5 min ", "30000ms"])
def test_a_number_that_postgres_may_take_is_no_misfit(value: str) -> None:
    assert setting_amounts.describe_misfit(value, unit="s", least="30", most="86400", whole=True) is None
