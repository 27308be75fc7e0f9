"""What the machine reaches is measured by real programs against a real gateway, and no run counts it."""

import psycopg
import pytest

from burst.sandbox import gateway, reached_rates


def test_the_rate_is_that_of_the_receipts_and_no_sender_is_left(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reached_rates, "SECONDS", 0.5)
    with gateway.start(dsn=database_dsn, api_key="key-of-a-test") as running:
        reached = reached_rates.measure_reached_rate(host=running.url, api_key="key-of-a-test", dsn=database_dsn)
    with psycopg.connect(database_dsn) as connection:
        (row,) = connection.execute(
            "select count(*), max(created_at_utc)::timestamptz - min(created_at_utc)::timestamptz, "
            "count(distinct platform_run_id) from receipts where decision = 'ADMIT'"
        ).fetchall()

    assert reached >= 60.0 / 10
    assert row[0] > 1
    assert row[1].total_seconds() < 60.0
    assert row[2] == 1


def test_a_gateway_that_admits_nothing_reaches_nothing(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached_rates, "_START_SECONDS", 0.5)
    monkeypatch.setattr(reached_rates, "SECONDS", 0.1)
    with gateway.start(dsn=database_dsn, api_key="key-of-a-test") as running:
        reached = reached_rates.measure_reached_rate(host=running.url, api_key="another", dsn=database_dsn)

    assert reached == 0.0
