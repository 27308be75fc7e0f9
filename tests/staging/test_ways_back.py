"""The way back on a real server: what could not come back as it was is refused, and the rest comes back so."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from burst.adapters.postgres import staged_database
from burst.domain.documents import database_stages, models
from tests import waiting
from tests.faults import controller_driver
from tests.staging import conftest, staging_driver
from tests.staging.test_stages import BREAKS, one_stage

LESS_THAN_A_SNAPSHOT = 20_000
"""The bytes that a file may have on a disk that is almost full: more than a journal."""
MODULES = "ALTER SYSTEM SET max_worker_processes = 9"


@pytest.mark.parametrize(
    ("column", "number"),
    [
        ("numeric", "12345678901234567.89"),
        ("numeric", "1.50"),
        ("numeric", "0.0000001"),
        ("bigint", "9223372036854775807"),
    ],
)
def test_a_number_of_an_index_comes_back_digit_by_digit(desk: conftest.Desk, column: str, number: str) -> None:
    desk.ask(f"CREATE TABLE amounts (amount {column})")
    desk.ask(f"CREATE INDEX large_ones ON amounts (amount) WHERE amount > {number}")
    definition = desk.ask("SELECT pg_get_indexdef('large_ones'::regclass)")

    answer = desk.stage(one_stage("ANALYZE amounts", "DROP INDEX CONCURRENTLY large_ones", more=BREAKS))

    assert (answer.code, answer.document["state"]) == (3, "rolled-back")
    assert number in definition
    assert desk.ask("SELECT pg_get_indexdef('large_ones'::regclass)") == definition


def test_a_stage_makes_an_index_of_the_number_that_it_names(desk: conftest.Desk) -> None:
    desk.ask("CREATE TABLE amounts (amount numeric)")

    desk.stage(one_stage("CREATE INDEX CONCURRENTLY large ON amounts (amount) WHERE amount > 12345678901234567.89"))

    assert "12345678901234567.89" in desk.ask("SELECT pg_get_indexdef('large'::regclass)")


def test_an_index_that_is_not_valid_is_not_dropped_because_it_could_not_come_back_so(desk: conftest.Desk) -> None:
    desk.ask("CREATE INDEX by_run ON receipts (platform_run_id)")
    desk.ask("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_run'::regclass")

    answer = desk.stage(one_stage("DROP INDEX CONCURRENTLY by_run", more=BREAKS))

    assert answer.code == 4
    assert "by_run: it is not valid" in answer.said
    assert desk.ask("SELECT to_regclass('by_run') IS NOT NULL")


def test_an_index_in_a_tablespace_is_dropped_only_where_it_would_come_back_there(desk: conftest.Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE fast LOCATION ''")
        connection.execute("CREATE INDEX by_run ON receipts (platform_run_id) TABLESPACE fast")
    drop = one_stage("DROP INDEX CONCURRENTLY by_run", more=BREAKS)
    try:
        refused = desk.stage(drop)
        desk.ask("ALTER ROLE burst SET default_tablespace = 'fast'")
        broken = desk.stage(drop, folder="of-the-role")
        held = json.loads((desk.folder / "of-the-role" / broken.document["stages"][0]["before"]["name"]).read_text())
        desk.ask("ALTER INDEX by_run SET TABLESPACE pg_default")
        elsewhere = desk.stage(drop, folder="elsewhere")
    finally:
        desk.ask("ALTER ROLE burst RESET default_tablespace")
        desk.ask("DROP INDEX IF EXISTS by_run")
        desk.ask("DROP TABLESPACE fast")

    assert (refused.code, elsewhere.code) == (4, 4)
    assert "it is in tablespace fast, and would come back in pg_default" in refused.said
    assert "it is in tablespace pg_default, and would come back in fast" in elsewhere.said
    assert (broken.code, broken.document["state"]) == (3, "rolled-back")
    assert [index["tablespace"] for index in held["indexes"] if index["name"] == "by_run"] == ["fast"]


def test_an_index_of_a_partition_that_belongs_to_its_parent_is_refused_before_anything_is_applied(
    desk: conftest.Desk,
) -> None:
    desk.ask("CREATE TABLE parted (day int) PARTITION BY RANGE (day)")
    desk.ask("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10)")
    desk.ask("CREATE INDEX parted_by_day ON parted (day)")

    answer = desk.stage(one_stage("ANALYZE parted", "DROP INDEX CONCURRENTLY parted_1_day_idx"))

    assert answer.code == 4
    assert "it belongs to the index of a partitioned table" in answer.said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE EXTENSION pg_stat_statements VERSION '1.9'", "installed in version 1.8 and schema public"),
        ('CREATE EXTENSION pg_stat_statements SCHEMA "Else where"', "installed in version 1.8 and schema public"),
        ("CREATE EXTENSION hstore SCHEMA nowhere", "there is no schema nowhere"),
    ],
)
def test_an_extension_that_would_stay_another_is_refused(desk: conftest.Desk, statement: str, words: str) -> None:
    desk.ask('CREATE SCHEMA "Else where"')
    desk.ask("CREATE EXTENSION pg_stat_statements VERSION '1.8'")

    answer = desk.stage(one_stage(statement, more=BREAKS))

    assert answer.code == 4
    assert words in answer.said


def test_an_extension_in_the_schema_and_version_of_the_stage_stays(desk: conftest.Desk) -> None:
    desk.ask('CREATE SCHEMA "Else where"')
    text = one_stage("CREATE EXTENSION hstore SCHEMA \"Else where\" VERSION '1.4'")

    answers = [desk.stage(text, folder=folder) for folder in ("first", "again")]

    assert [answer.document["state"] for answer in answers] == ["passed", "passed"]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE burst SET statement_timeout = '1ms'",
        "ALTER SYSTEM SET statement_timeout = 1",
        "ALTER ROLE burst SET idle_session_timeout = '9.9s'",
        "ALTER SYSTEM SET idle_in_transaction_session_timeout = '0x1'",
    ],
)
def test_a_timeout_that_would_end_the_way_back_is_refused(desk: conftest.Desk, statement: str) -> None:
    answer = desk.stage(one_stage(statement, more=BREAKS))

    assert answer.code == 4
    assert "before they could read the database and go back; allowed: 0 or at least 10s" in answer.said


def test_a_timeout_of_another_role_or_a_long_one_is_nobodys_way_back(desk: conftest.Desk) -> None:
    desk.ask("CREATE ROLE hasty")
    try:
        answer = desk.stage(
            one_stage(
                "ALTER ROLE hasty SET statement_timeout = '1ms'",
                "ALTER ROLE burst SET statement_timeout = 0",
                "ALTER ROLE burst SET idle_session_timeout = '10s'",
                more=BREAKS,
            )
        )
    finally:
        desk.ask("DROP ROLE hasty")

    assert (answer.code, answer.document["state"]) == (3, "rolled-back")


def test_a_change_outlasts_the_transaction_timeout_of_its_role(desk: conftest.Desk) -> None:
    if desk.ask("SELECT current_setting('server_version_num')::integer") < 170000:
        pytest.skip("this server has no transaction_timeout")
    desk.ask("ALTER ROLE burst SET transaction_timeout = '2s'")
    folder = desk.folder / "staging"
    with psycopg.connect(desk.dsn, options="-c transaction_timeout=0") as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        words = ("stage", str(desk.write(one_stage(conftest.INDEX))), "--dsn", "env:STAGE_DSN", "--folder", str(folder))
        process = desk.start(*words)
        waiting.until(
            lambda: (
                desk.ask(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%'"
                    " AND xact_start < clock_timestamp() - interval '3 seconds'"
                )
                or process.poll() is not None
            ),
            what="a build of 3 seconds",
        )
        writer.rollback()
    _, said = process.communicate(timeout=waiting.PROCESS_SECONDS)

    assert process.returncode == 0, said.decode()


def test_stages_that_passed_are_not_rolled_back_in_silence(desk: conftest.Desk) -> None:
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'"))

    answer = desk.resume("--roll-back")

    assert answer.code == 4
    assert "every stage passed and stays; nothing was rolled back" in answer.said
    assert desk.ask("SHOW work_mem") == "32MB"


def _spoil(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"work_mem", b"work_men"))


@pytest.mark.parametrize("spoil", [Path.unlink, _spoil])
def test_a_snapshot_that_cannot_be_read_is_said_loudly_and_goes_back_once_it_can(
    desk: conftest.Desk, spoil: conftest.Spoil
) -> None:
    at_first = desk.snapshot().content()
    paused = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", MODULES, more=f"    restart: true\n{BREAKS}"))
    snapshot = desk.folder / "staging" / paused.document["stages"][0]["before"]["name"]
    kept = snapshot.read_bytes()
    spoil(snapshot)

    lost = desk.resume("--roll-back")
    still = desk.ask("SHOW work_mem")
    snapshot.write_bytes(kept)
    back = desk.resume("--roll-back")

    assert (lost.code, still) == (6, "32MB")
    assert snapshot.name in lost.said
    assert "burst db status" in lost.said
    assert (back.code, back.document["state"]) == (3, "rolled-back")
    assert desk.snapshot().content() == at_first


def test_a_configuration_that_was_put_back_and_not_read_again_is_read_again(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=BREAKS)
    desk.stage(text, folder="whole")
    lines = [json.loads(line) for line in (desk.folder / "whole" / "journal.jsonl").read_text().splitlines()]
    (at,) = (line["sequence"] for line in lines if line["event"] == "change-intended" and line["rolling_back"])
    words = ["db", "stage", str(desk.write(text)), "--dsn", "env:STAGE_DSN", "--folder", str(desk.folder / "staging")]

    code = staging_driver.run_until_killed(
        words,
        controller_driver.Death(line=at, torn=False),
        environment={**os.environ, "STAGE_DSN": desk.dsn},
        said=desk.folder / "said",
    )
    desk.ask("ALTER SYSTEM RESET work_mem")
    answer = desk.resume()

    result = models.read(database_stages.DatabaseStages, (desk.folder / "staging" / database_stages.NAME).read_bytes())
    assert (code, answer.code, result.outcome) == (-9, 3, "rolled-back")
    assert desk.snapshot().content() == at_first


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "journal.jsonl").unlink(), "journal.jsonl is not there, and snapshot_"),
        (lambda folder: (folder / "journal.jsonl").write_bytes(b""), "journal.jsonl has no event, and snapshot_"),
        (lambda folder: (folder / "stages.json").unlink(), "stages.json is not there, and the journal names it"),
    ],
)
@pytest.mark.parametrize("command", ["status", "resume"])
def test_a_folder_whose_journal_or_file_is_gone_is_not_called_one_in_which_nothing_was_begun(
    desk: conftest.Desk, spoil: conftest.Spoil, words: str, command: str
) -> None:
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    restart: true\n"))
    spoil(desk.folder / "staging")

    answer = desk.call(command, str(desk.folder / "staging"))

    assert answer.code == 8
    assert words in answer.said
    assert "THE DATABASE MAY BE CHANGED" in answer.said


def test_a_folder_without_a_staging_is_told_what_to_do(desk: conftest.Desk) -> None:
    answers = [desk.resume(folder="nowhere"), desk.call("status", str(desk.folder / "nowhere"))]

    assert [answer.code for answer in answers] == [7, 7]
    assert all("name the folder that the command which began printed" in answer.said for answer in answers)


@pytest.mark.parametrize("written", ["ALTER SYSTEM SET random_page_cost = 3", "ALTER SYSTEM RESET random_page_cost"])
def test_what_somebody_else_wrote_and_the_server_did_not_read_is_not_put_in_effect_by_a_stage(
    desk: conftest.Desk, written: str
) -> None:
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=BREAKS)
    desk.stage(one_stage("ALTER SYSTEM SET random_page_cost = 2"), folder="before")
    waiting.until(
        lambda: desk.ask("SELECT date_trunc('second', clock_timestamp()) > pg_conf_load_time()"),
        what="the second after the reading",
    )
    desk.ask(written)

    refused = desk.stage(text)
    cost = desk.ask("SHOW random_page_cost")
    desk.ask("SELECT pg_reload_conf()")
    waiting.until(lambda: desk.ask("SHOW random_page_cost") != cost, what="the server to read its configuration")
    broken = desk.stage(text)

    assert (refused.code, cost) == (4, "2")
    assert "postgresql.auto.conf was written after the server read it" in refused.said
    assert (broken.code, broken.document["state"]) == (3, "rolled-back")


def test_a_way_back_that_waits_for_a_lock_takes_back_the_rest_and_is_finished_by_a_resume(
    desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_first = desk.snapshot().content()
    monkeypatch.setattr(staged_database, "_WORK_SETTINGS", ("SET lock_timeout = '1s'",))
    with psycopg.connect(desk.dsn) as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        cut = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", conftest.INDEX))
        writer.rollback()
    left = desk.ask("SHOW work_mem")
    status = desk.call("status", str(desk.folder / "staging"))
    back = desk.resume()

    assert (cut.code, status.document["state"], left) == (4, "cut", "4MB")
    assert "end the transaction that is in its way" in cut.said
    assert "THE ROLL-BACK IS NOT FINISHED" in cut.said
    assert (back.code, back.document["state"], back.document["roll_back"]["equal"]) == (3, "rolled-back", True)
    assert desk.snapshot().content() == at_first


def test_a_refusal_on_the_way_back_keeps_nothing_else_from_going_back(desk: conftest.Desk) -> None:
    uses = "CREATE VIEW uses AS SELECT * FROM pg_stat_statements"
    words = f"import psycopg; psycopg.connect({desk.dsn!r}, autocommit=True).execute({uses!r})"
    script = desk.folder / "uses.py"
    script.write_text(
        f"import os\nif os.path.exists('once'):\n    {words}\nopen('once', 'w')\nprint('{{\"p95\": 9}}')\n"
    )
    command = json.dumps([sys.executable, str(script)])
    more = f"    check: {{command: {command}}}\n    red_line: [{{figure: p95, at_most: 1}}]\n"

    answer = desk.stage(
        one_stage("ALTER SYSTEM SET work_mem = '32MB'", "CREATE EXTENSION pg_stat_statements", more=more)
    )

    assert (answer.code, answer.document["state"]) == (6, "not-rolled-back")
    assert answer.document["roll_back"]["differences"] == ["extension pg_stat_statements: was not there"]
    assert desk.ask("SHOW work_mem") == "4MB"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_end_the_work_without_a_word_on_what_is_in_the_database(
    desk: conftest.Desk, number: signal.Signals
) -> None:
    path = desk.write(one_stage("ALTER SYSTEM SET work_mem = '32MB'", conftest.INDEX))
    folder = desk.folder / "staging"
    with psycopg.connect(desk.dsn) as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", str(folder), "--quiet")
        waiting.until(lambda: desk.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1, what="the build")
        process.send_signal(number)
        _, said = process.communicate(timeout=waiting.PROCESS_SECONDS)
        writer.rollback()

    assert process.returncode == 128 + number
    assert "THE DATABASE IS CHANGED: of the changes 2 of 2 of stage A were begun" in said.decode()
    assert f"burst db resume {folder} --roll-back" in said.decode()


def test_a_full_disk_in_the_middle_of_a_stage_says_what_is_in_the_database(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    confirm: true\n"))

    process = desk.start("resume", str(desk.folder / "staging"))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LESS_THAN_A_SNAPSHOT, LESS_THAN_A_SNAPSHOT))
    _, said = process.communicate(timeout=waiting.PROCESS_SECONDS)
    left = desk.ask("SHOW work_mem")
    back = desk.resume("--roll-back")

    assert (process.returncode, left) == (4, "32MB")
    assert "cannot be written: File too large" in said.decode()
    assert "THE DATABASE IS CHANGED: of the changes 1 of 1 of stage A were begun" in said.decode()
    assert (back.code, back.document["state"]) == (3, "rolled-back")
    assert desk.snapshot().content() == at_first
