"""Checking databases: each DSN is found in its place, asked once, and never shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from burst.adapters.postgres import dsn_places
from burst.domain.basics import errors, redaction
from burst.domain.database import database_findings
from burst.domain.documents import database_checks
from burst.report import database_text
from burst.wiring import checking_databases
from tests import cases, fakes, fakes_database

PASSWORD = "correct-horse"
HERE = f"postgresql://reader:{PASSWORD}@db.internal:5432/ingest"
ELSEWHERE = f"postgresql://other:{PASSWORD}@away.internal/ingest"
PROGRAM = {"command": ["python", "stream.py"]}
IDENTITIES = {
    HERE: fakes_database.IDENTITY,
    ELSEWHERE: fakes_database.IDENTITY.model_copy(update={"system_identifier": "7", "role": "other"}),
}


class Servers:
    """Databases by DSN; one that is not known does not answer. `asked` holds each DSN that was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def make(self, dsn: redaction.Secret) -> fakes_database.MemoryDatabaseInspector:
        self.asked.append(dsn.reveal())
        identity = IDENTITIES.get(dsn.reveal())
        reading = fakes_database.reading(identity=identity or fakes_database.IDENTITY)
        inspector = fakes_database.MemoryDatabaseInspector(reading, now=fakes.TickingClock().now)
        inspector.failures = 0 if identity else 9
        return inspector


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def export(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return export


def check(servers: Servers | None = None, **request: object) -> database_checks.DatabaseCheck:
    made = checking_databases.CheckRequest(**request)  # type: ignore[arg-type]
    return checking_databases.check_database(made, fakes.TickingClock(), (servers or Servers()).make)


def rows(checked: database_checks.DatabaseCheck) -> dict[str, tuple[str, bool]]:
    return {row.name: (row.same, row.should_be_same) for row in checked.dsns}


def status(checked: database_checks.DatabaseCheck, name: str) -> str:
    return next(finding.status for finding in checked.findings if finding.check == name)


def test_every_dsn_is_named_by_its_place_and_compared_with_the_one_that_is_checked(
    variables: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "dsn").write_text(f"{ELSEWHERE}\n")
    variables(IG_DSN=HERE, STREAM_DSN=ELSEWHERE)
    plan = cases.plan(
        receipts={"dsn": "env:IG_DSN"},
        load={**PROGRAM, "environment": {"STREAM_DSN": "env:STREAM_DSN", "SPEEDUP": "120"}},
    )

    checked = check(
        dsn="env:IG_DSN",
        plan=plan,
        also=(f"file:{tmp_path / 'dsn'}",),
        environment={"IG_DSN": HERE, "AWAY_URL": ELSEWHERE, "PATH": "/bin", "SITE": "https://a:b@c/d"},
    )

    assert rows(checked) == {
        "--dsn env:IG_DSN": ("checked", True),
        "plan receipts.dsn env:IG_DSN": ("same", True),
        "plan load.environment.STREAM_DSN env:STREAM_DSN": ("other", True),
        f"--also file:{tmp_path / 'dsn'}": ("other", True),
        "variable AWAY_URL": ("other", False),
        "variable IG_DSN": ("same", False),
    }
    assert status(checked, "one-database") == "warning"
    assert checked.status == "passed"


def test_no_credential_is_in_the_document_or_in_its_text(variables: Callable[..., None]) -> None:
    variables(IG_DSN=HERE)
    broken = f"host=nowhere password={PASSWORD} user=u dbname=d"

    checked = check(dsn="env:IG_DSN", environment={"A": ELSEWHERE, "B": broken}, also=(broken, ELSEWHERE))

    assert PASSWORD not in checked.content().decode()
    assert PASSWORD not in database_text.render_check(checked)
    assert [row.shown for row in checked.dsns] == [
        "db.internal:5432/ingest as reader",
        "nowhere/d as u",
        "away.internal/ingest as other",
        "away.internal/ingest as other",
        "nowhere/d as u",
    ]


def test_a_dsn_that_stands_in_several_places_is_asked_once(variables: Callable[..., None]) -> None:
    variables(IG_DSN=HERE)
    servers = Servers()

    check(servers, dsn="env:IG_DSN", environment={"A": HERE, "B": ELSEWHERE, "C": ELSEWHERE})

    assert sorted(servers.asked) == sorted([HERE, ELSEWHERE])


def test_a_database_that_does_not_answer_is_never_the_same(variables: Callable[..., None]) -> None:
    variables(IG_DSN=HERE, GONE="postgresql://r@gone/ingest")

    checked = check(dsn="env:IG_DSN", also=("env:GONE", "env:NOT_SET"))

    assert rows(checked) == {
        "--dsn env:IG_DSN": ("checked", True),
        "--also env:GONE": ("unknown", True),
        "--also env:NOT_SET": ("unknown", True),
    }
    assert "NOT_SET is not set" in checked.dsns[2].why
    assert status(checked, "one-database") == "warning"


@pytest.mark.parametrize(
    ("other", "expected"), [(ELSEWHERE, "refused"), ("postgresql://r@gone/ingest", "unknown"), (HERE, "passed")]
)
def test_a_plan_that_requires_the_check_refuses_another_database_and_one_that_nobody_can_tell(
    other: str, expected: str, variables: Callable[..., None]
) -> None:
    variables(IG_DSN=HERE, STREAM_DSN=other)
    plan = cases.plan(
        receipts={"dsn": "env:IG_DSN", "require_check": True},
        load={**PROGRAM, "environment": {"STREAM_DSN": "env:STREAM_DSN"}},
    )

    checked = check(plan=plan)

    assert status(checked, "one-database") == expected
    assert checked.status == expected


def test_the_counting_tasks_own_variable_should_reach_the_checked_database(variables: Callable[..., None]) -> None:
    variables(IG_DSN=HERE)

    checked = check(dsn="env:IG_DSN", environment={"BURST_RECEIPTS_DSN": ELSEWHERE})

    assert rows(checked)["variable BURST_RECEIPTS_DSN"] == ("other", True)


def test_a_checked_database_that_does_not_answer_is_a_finding_and_its_neighbours_are_still_identified(
    variables: Callable[..., None],
) -> None:
    variables(GONE="postgresql://r@gone/ingest")

    checked = check(dsn="env:GONE", environment={"A": HERE})

    assert (checked.status, checked.reading) == ("unknown", None)
    assert [finding.check for finding in checked.findings] == ["connect"]
    assert (checked.dsns[1].same, checked.dsns[1].identity) == ("unknown", fakes_database.IDENTITY)


def test_a_check_without_any_dsn_says_what_to_give() -> None:
    with pytest.raises(errors.UsageError, match="give --dsn REF"):
        check()


def test_the_table_is_the_plans_unless_it_is_named(variables: Callable[..., None]) -> None:
    variables(IG_DSN=HERE)
    plan = cases.plan(receipts={"dsn": "env:IG_DSN", "table": "other.receipts"})

    assert status(check(plan=plan), "table") == "refused"
    assert status(check(plan=plan, table="receipts"), "indexes") == "passed"
    assert status(check(dsn="env:IG_DSN"), "indexes") == "passed"


@pytest.mark.parametrize(
    ("text", "is_dsn"),
    [
        (HERE, True),
        ("postgres://host/db", True),
        ("postgresql+psycopg://host/db", True),
        ("postgresql+psycopg2://host/db", True),
        ("postgresql+asyncpg://host/db", True),
        ("jdbc:postgresql://host/db?user=u", True),
        ("POSTGRES://host/db", True),
        (" postgresql://host/db\n", True),
        ("postgresql://u:two words@host/db", True),
        ("host=db.internal dbname=ingest password=x", True),
        ("service=ingest", True),
        ("https://user:word@host/path?host=x", False),
        ("mysql://host/db", False),
        ("path=/bin host", False),
        ("host=a nonsense", False),
        ("", False),
        ("/usr/bin:/bin", False),
    ],
)
def test_a_text_reads_as_a_dsn_only_where_a_program_would_take_it_for_one(text: str, is_dsn: bool) -> None:
    assert dsn_places.reads_as_dsn(text) is is_dsn


@pytest.mark.parametrize(
    "written",
    [
        HERE.replace("postgresql://", "postgresql+asyncpg://"),
        HERE.replace("postgresql://", "postgresql+psycopg2://"),
        HERE.replace("postgresql://", "POSTGRES://"),
        f"jdbc:{HERE}",
        f" {HERE}\n",
    ],
)
def test_the_dsn_of_another_program_is_followed_to_its_database_and_never_shown(
    written: str, variables: Callable[..., None]
) -> None:
    variables(IG_DSN=HERE)

    checked = check(dsn="env:IG_DSN", environment={"INGEST_DSN": written}, also=(written,))

    assert rows(checked)["variable INGEST_DSN"] == ("same", False)
    assert rows(checked)["--also"] == ("same", True)
    assert PASSWORD not in checked.model_dump_json()


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        (HERE, "db.internal:5432/ingest as reader"),
        ("postgresql://u:p@one:1,two:2/db?sslpassword=p", "one:1,two:2/db as u"),
        ("host=one,two port=7 user=u", "one:7,two:7/u as u"),
        ("postgresql:///db", "libpq's default host/db as libpq's default role"),
        ("postgresql://u@/db?host=/run/s&port=5432", "/run/s:5432/db as u"),
        ("service=ingest", "libpq's service ingest"),
        ("host='", "no readable DSN"),
    ],
)
def test_a_dsn_is_shown_by_host_database_and_role_alone(dsn: str, shown: str) -> None:
    assert dsn_places.describe_reference(redaction.Secret(dsn)) == shown


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (0, "no other DSN is known that should reach it"),
        (1, "1 other DSN reaches it, as each should"),
        (2, "2 other DSNs reach it, as each should"),
    ],
)
def test_how_many_other_dsns_reach_the_database_is_one_sentence(others: int, words: str) -> None:
    row = database_checks.DsnRow(
        origin="variable",
        name="A",
        shown="burst at here",
        should_be_same=True,
        same="same",
        why="both say so",
        identity=None,
    )

    assert database_findings.judge_dsns([row] * others, database_findings.CheckDemands(table="receipts")).seen == words
