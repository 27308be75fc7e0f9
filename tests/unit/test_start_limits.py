"""Values with which a server would not start again, held against what it has."""

import pytest

from burst.domain.staging import start_limits

FACTS = start_limits.StartFacts(
    wal_level="minimal",
    wal_segment_bytes=64 << 20,
    reserved_connections=5,
    replication_slots=2,
    prepared_transactions=1,
)


@pytest.mark.parametrize(
    ("name", "value", "unit", "words"),
    [
        ("min_wal_size", "127MB", "MB", "at least 128MB, twice wal_segment_size"),
        ("min_wal_size", "80", "MB", "at least 128MB, twice wal_segment_size"),
        ("max_wal_size", "65536kB", "MB", "at least 128MB, twice wal_segment_size"),
        ("max_connections", "5", None, "at least 6, one more than"),
        ("max_replication_slots", "1", None, "at least 2, because so many replication slots are there"),
        ("max_prepared_transactions", "0", None, "at least 1, because so many prepared transactions"),
        ("max_wal_senders", "10", None, "with wal_level minimal max_wal_senders has to be 0"),
    ],
)
def test_a_value_with_which_the_server_would_not_start_is_told_with_the_least_that_is_allowed(
    name: str, value: str, unit: str | None, words: str
) -> None:
    described = start_limits.describe_unstartable(FACTS, name, value, unit)

    assert described is not None
    assert words in described


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("min_wal_size", "128MB", "MB"),
        ("max_wal_size", "1GB", "MB"),
        ("max_connections", "6", None),
        ("max_replication_slots", "2", None),
        ("max_prepared_transactions", "1", None),
        ("max_wal_senders", "0", None),
        ("work_mem", "64", "kB"),
        ("max_connections", "many", None),
    ],
)
def test_a_value_with_which_the_server_starts_or_that_it_does_not_take_is_no_obstacle(
    name: str, value: str, unit: str | None
) -> None:
    assert start_limits.describe_unstartable(FACTS, name, value, unit) is None
