"""`burst db check` and `burst db diff` on a real Postgres: exit codes, one document, no credential anywhere."""

import json
import secrets
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from burst.cli import main
from burst.domain.database import database_findings
from burst.domain.documents import database_checks
from tests import cases, json_schemas, waiting
from tests.counting import strange_server

Shown = pytest.CaptureFixture[str]
PASSWORD = "only-to-read"


def run(*words: str | Path) -> int:
    """`burst db ...` within this process; the environment of whoever runs the tests is not looked through."""
    return main.main(["db", *(str(word) for word in words)])


def check(*words: str | Path) -> int:
    return run("check", "--no-environment", *words)


def execute(dsn: str, *statements: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def role_settings(role: sql.Identifier) -> list[sql.Composed]:
    """What `infra/` gives the role that counts."""
    return [
        sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(name), sql.Literal(value))
        for name, value in database_findings.ADVISED.items()
    ]


@pytest.fixture
def reader_dsn(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of a role as `infra/` makes it, also in the variable IG_DSN."""
    name = f"reader_{secrets.token_hex(4)}"
    role = sql.Identifier(name)
    execute(
        database_dsn,
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT 9").format(role, sql.Literal(PASSWORD)),
        sql.SQL("GRANT SELECT ON receipts TO {}").format(role),
        *role_settings(role),
    )
    url = urllib.parse.urlsplit(database_dsn)
    dsn = urllib.parse.urlunsplit(url._replace(netloc=f"{name}:{PASSWORD}@{url.netloc.rpartition('@')[2]}"))
    monkeypatch.setenv("IG_DSN", dsn)
    yield dsn
    execute(database_dsn, sql.SQL("DROP OWNED BY {0} CASCADE").format(role), sql.SQL("DROP ROLE {}").format(role))


def document(shown: Shown) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(shown.readouterr().out)
    return value


def statuses(value: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["status"] for finding in value["findings"]}


def test_a_role_as_infra_makes_it_passes_every_check_and_is_told_what_it_may_not_see(
    reader_dsn: str, capsys: Shown
) -> None:
    code = check("--dsn", "env:IG_DSN", "--table", "receipts", "--json")
    value = document(capsys)

    assert (code, value["status"]) == (0, "passed")
    assert set(statuses(value).values()) == {"passed", "note"}
    assert statuses(value)["role-settings"] == "passed"
    assert {part["part"] for part in value["reading"]["hidden"]} >= {"settings of superusers"}
    assert PASSWORD not in json.dumps(value)
    json_schemas.validator("database", "strict").validate(value)


def test_the_text_names_findings_settings_indexes_and_dsns_and_no_credential(reader_dsn: str, capsys: Shown) -> None:
    code = check("--dsn", reader_dsn, "--also", "env:IG_DSN")
    shown = capsys.readouterr()

    assert code == 0
    for words in ("ok   connect:", "ok   indexes:", "INDEX", "SETTING", "DSN", "--also env:IG_DSN", "the same DSN"):
        assert words in shown.out
    assert PASSWORD not in shown.out + shown.err


def test_an_index_that_is_not_valid_refuses_with_exit_4(database_dsn: str, reader_dsn: str, capsys: Shown) -> None:
    execute(database_dsn, sql.SQL("insert into receipts (event_id) values ('same'), ('same')"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database_dsn, sql.SQL("create unique index concurrently broken on receipts (event_id)"))

    code = check("--dsn", "env:IG_DSN", "--json")
    shown = capsys.readouterr()
    value = json.loads(shown.out)

    assert (code, value["status"], statuses(value)["indexes"]) == (4, "refused", "refused")
    assert "see: burst runbook exit-4" in shown.err


def test_a_role_whose_connections_are_used_up_is_refused(database_dsn: str, reader_dsn: str, capsys: Shown) -> None:
    held = [psycopg.connect(reader_dsn) for _ in range(6)]
    try:
        code = check("--dsn", "env:IG_DSN", "--json")
    finally:
        for connection in held:
            connection.close()

    assert code == 4
    assert statuses(document(capsys))["connections"] == "refused"


def test_a_database_that_does_not_answer_exits_9_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("IG_DSN", f"postgresql://reader:{PASSWORD}@127.0.0.1:9/ingest")

    code = check("--dsn", "env:IG_DSN", "--give-up", "2s", "--json")
    shown = capsys.readouterr()
    value = json.loads(shown.out)

    assert (code, value["status"], value["reading"]) == (9, "unknown", None)
    assert "this was attempt" in value["findings"][0]["seen"]
    assert PASSWORD not in shown.out + shown.err


def test_a_server_that_hangs_up_is_asked_three_times_and_the_check_exits_9(capsys: Shown) -> None:
    with strange_server.listening(lambda client: client.close()) as (port, connected):
        code = check("--dsn", f"postgresql://reader:{PASSWORD}@127.0.0.1:{port}/ingest")
        attempts = len(connected)

    assert (code, attempts) == (9, 3)
    assert PASSWORD not in "".join(capsys.readouterr())


def test_a_frozen_server_beside_the_checked_one_holds_it_up_no_longer_than_said(reader_dsn: str, capsys: Shown) -> None:
    began = time.monotonic()
    with strange_server.listening(lambda _: None) as (port, _):
        frozen = f"postgresql://reader:{PASSWORD}@127.0.0.1:{port}/ingest"
        code = check("--dsn", "env:IG_DSN", "--also", frozen, "--give-up", "3s", "--json")
        seconds = time.monotonic() - began
    value = document(capsys)

    assert code == 0
    assert [row["same"] for row in value["dsns"]] == ["checked", "unknown"]
    assert statuses(value)["one-database"] == "warning"
    assert seconds < 3 + waiting.scheduling_seconds() + 2


def test_a_login_that_is_refused_exits_4_without_the_password(reader_dsn: str, capsys: Shown) -> None:
    wrong = reader_dsn.replace(PASSWORD, "not-the-word")

    code = check("--dsn", wrong)
    shown = capsys.readouterr()

    assert code == 4
    assert "not-the-word" not in shown.out + shown.err


@pytest.mark.parametrize(
    "words",
    [
        ["--dsn", "env:NOT_SET_ANYWHERE"],
        ["--dsn", "http://x/y"],
        [],
        ["--plan", "no-such-plan.yaml"],
        ["--dsn", "env:IG_DSN", "--table", "a.b.c"],
        ["--dsn", "env:IG_DSN", "--table", ""],
        ["--dsn", ""],
    ],
    ids=["no variable", "no DSN", "nothing", "no plan", "no table name", "an empty table", "an empty DSN"],
)
def test_a_wrong_reference_or_name_exits_2(words: list[str], reader_dsn: str, capsys: Shown) -> None:
    assert check(*words) == 2
    assert "see: burst runbook exit-2" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["check", "--no-environment"], ["advise"]])
def test_an_empty_dsn_is_not_taken_for_that_of_the_plan(
    command: list[str], reader_dsn: str, tmp_path: Path, capsys: Shown
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(cases.plan_value(receipts={"dsn": "env:IG_DSN"})))

    code = run(*command, "--plan", plan, "--dsn", "")

    assert code == 2
    assert "the DSN is empty" in capsys.readouterr().err


def test_a_role_that_may_not_ask_for_sessions_is_told_the_rest(
    database_dsn: str, reader_dsn: str, capsys: Shown
) -> None:
    execute(database_dsn, sql.SQL("REVOKE SELECT ON pg_catalog.pg_stat_activity FROM PUBLIC"))

    code = check("--dsn", "env:IG_DSN")
    shown = capsys.readouterr().out

    assert code == 9
    assert "other sessions hidden" in shown
    assert "GRANT SELECT ON pg_catalog.pg_stat_activity TO" in shown


def test_the_plan_says_which_database_it_means_and_another_is_refused_where_it_requires_the_check(
    database_dsn: str, reader_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    elsewhere = urllib.parse.urlunsplit(urllib.parse.urlsplit(database_dsn)._replace(path="/postgres"))
    monkeypatch.setenv("STREAM_DSN", elsewhere)
    load = {"command": ["python", "stream.py"], "environment": {"STREAM_DSN": "env:STREAM_DSN"}}
    codes = {}
    for required in (False, True):
        plan = tmp_path / f"plan_{required}.json"
        receipts = {"dsn": "env:IG_DSN", "require_check": required}
        plan.write_text(json.dumps(cases.plan_value(receipts=receipts, load=load)))
        code = check("--plan", plan, "--json")
        codes[required] = (code, statuses(document(capsys))["one-database"])

    assert codes == {False: (0, "warning"), True: (4, "refused")}


def test_variables_of_the_environment_are_named_and_never_shown(
    reader_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("MY_WAREHOUSE", f"host=127.0.0.1 port=9 dbname=w user=u password={PASSWORD}")

    code = run("check", "--dsn", "env:IG_DSN", "--give-up", "5s", "--json")
    shown = capsys.readouterr()
    rows = {row["name"]: (row["same"], row["shown"]) for row in json.loads(shown.out)["dsns"]}

    assert code == 0
    assert rows["variable MY_WAREHOUSE"] == ("unknown", "127.0.0.1:9/w as u")
    assert rows["variable IG_DSN"][0] == "same"
    assert PASSWORD not in shown.out + shown.err


def test_a_file_holds_the_document_once_and_two_of_them_are_compared(
    database_dsn: str, reader_dsn: str, tmp_path: Path, capsys: Shown
) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    codes = [check("--dsn", "env:IG_DSN", "-o", before), check("--dsn", "env:IG_DSN", "-o", before)]
    execute(database_dsn, sql.SQL("create index by_decision on receipts (decision)"))
    role = sql.Identifier(urllib.parse.urlsplit(reader_dsn).username or "")
    execute(database_dsn, sql.SQL("ALTER ROLE {} SET work_mem = '9MB'").format(role))
    codes.append(check("--dsn", "env:IG_DSN", "-o", after, "--quiet"))
    capsys.readouterr()

    same, other = run("diff", before, before), run("diff", before, after, "--json")
    shown = capsys.readouterr()

    assert codes == [0, 2, 0]
    assert (same, other) == (0, 3)
    changes = json.loads(shown.out[shown.out.index("{") :])["changes"]
    assert {(change["section"], change["name"]) for change in changes} == {
        ("index", "public.by_decision"),
        ("role setting", "role: work_mem"),
        ("setting", "work_mem"),
    }
    assert "blocker" not in shown.err
    assert database_checks.DatabaseCheck.model_validate_json(before.read_text()).status == "passed"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, 2),
        ("no json", 8),
        ('{"schema": "burst.database/v9"}', 9),
        ('{"schema": "burst.database/v1"}', 8),
    ],
    ids=["absent", "no JSON", "another schema", "half a document"],
)
def test_a_file_that_is_no_check_is_refused_by_name(
    content: str | None, code: int, tmp_path: Path, capsys: Shown
) -> None:
    path = tmp_path / "given.json"
    if content is not None:
        path.write_text(content)

    assert run("diff", path, path) == code
    assert "given.json" in capsys.readouterr().err
