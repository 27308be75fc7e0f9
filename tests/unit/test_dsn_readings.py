"""DSNs that libpq reads otherwise than they were meant: a part of the password would become a host's name."""

import pytest

from burst.adapters.postgres import connections
from burst.domain.basics import errors


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://counter:hunt@er2@db:5432/burst",
        "postgresql://counter:1234/er2@db:5432/burst",
        "postgresql://counter:hunt/er2@db:5432/burst",
        "postgres://counter@corp:hunter2@db/burst",
        "postgresql+psycopg://counter:hunt@er2,x@db/burst?sslmode=require",
        "host=db dbname='postgresql://counter:hunter2@db/burst'",
    ],
)
def test_a_dsn_that_can_be_read_in_two_ways_is_refused_and_no_part_of_it_is_shown(dsn: str) -> None:
    with pytest.raises(errors.UsageError) as refusal:
        connections.read_parameters(dsn)

    assert "hidden" in str(refusal.value)
    assert not [part for part in ("hunt", "er2", "1234", "corp", "db:") if part in str(refusal.value)]


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://counter:hunt%40er%2F2@db:5432/burst", "hunt@er/2"),
        ("postgresql://counter@db/burst?password=hunt@er/2", "hunt@er/2"),
        ("postgresql://counter:hunt#er:2@/burst?host=/run/@socket", "hunt#er:2"),
        ("host=db password='hunt@er /2' dbname=burst", "hunt@er /2"),
    ],
)
def test_a_password_with_its_marks_written_as_a_url_wants_them_is_read(dsn: str, password: str) -> None:
    assert connections.read_parameters(dsn)["password"] == password
