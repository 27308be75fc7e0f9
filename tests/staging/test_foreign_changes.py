"""What somebody else changes while stages are at work is not overwritten, not taken as the stage's own, and said."""

import json
import os
import sys
from pathlib import Path

import psycopg
import pytest

from burst.cli import main
from burst.domain.staging import change_grammar, changes
from tests import waiting
from tests.faults import controller_driver
from tests.staging import conftest, staging_driver
from tests.staging.test_stages import BREAKS, WORSENS, one_stage

RESTARTS = "ALTER SYSTEM SET max_worker_processes = 9"
MADE = "CREATE INDEX CONCURRENTLY by_decision"
INDEX = f"{MADE} ON receipts (decision)"
FOREIGN_INDEX = "CREATE INDEX by_decision ON receipts (platform_run_id)"
DEFINITION = "SELECT indexdef FROM pg_indexes WHERE indexname = 'by_decision'"
MEDDLE = """\
import pathlib, psycopg
count = pathlib.Path({count!r})
count.write_text(count.read_text() + "x" if count.exists() else "x")
if len(count.read_text()) == {at}:
    with psycopg.connect({dsn!r}, autocommit=True) as c:
        c.execute({statement!r})
print('{{"p95": 9}}')
"""


def meddling(desk: conftest.Desk, statement: str, *, at: int) -> str:
    """A check that breaks its red line; in its measurement number `at` somebody else executes a statement."""
    script = desk.folder / f"meddle_{at}.py"
    count = str(desk.folder / f"count_{at}")
    script.write_text(MEDDLE.format(count=count, at=at, dsn=desk.dsn, statement=statement))
    command = json.dumps([sys.executable, str(script)])
    return f"    check: {{command: {command}}}\n    red_line: [{{figure: p95, at_most: 1}}]\n"


def read_configured(desk: conftest.Desk, place: str) -> str | None:
    """What a place gives work_mem."""
    change = change_grammar.parse_change(f"{place} RESET work_mem")
    assert isinstance(change, changes.SetParameter)
    snapshot = desk.snapshot()
    if change.place.is_system:
        return next((row.value for row in snapshot.configured or () if row.name == "work_mem"), None)
    kept = [row for row in snapshot.role_settings if (row.role, row.name) == (change.place.role, "work_mem")]
    return kept[0].value if kept else None


@pytest.mark.parametrize("place", ["ALTER SYSTEM", "ALTER ROLE burst"])
@pytest.mark.parametrize("at", [1, 2], ids=["before the change", "after the change"])
def test_a_setting_that_somebody_else_set_during_a_stage_is_left_so_and_said(
    desk: conftest.Desk, place: str, at: int
) -> None:
    more = meddling(desk, f"{place} SET work_mem = '48MB'", at=at)

    answer = desk.stage(one_stage("ANALYZE receipts", f"{place} SET work_mem = '32MB'", more=more))

    assert (answer.code, answer.document["state"]) == (6, "not-rolled-back")
    assert answer.document["roll_back"]["equal"] is False
    assert read_configured(desk, place) == "48MB"
    assert "somebody else changed work_mem during the stage" in answer.said
    assert "IS NOT AS IT WAS" in answer.said


def test_a_setting_that_somebody_else_reset_during_a_stage_stays_reset(desk: conftest.Desk) -> None:
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '8MB'"), folder="before")
    more = meddling(desk, "ALTER SYSTEM RESET work_mem", at=2)

    answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more))

    assert (answer.code, read_configured(desk, "ALTER SYSTEM")) == (6, None)


def test_what_a_stage_did_not_come_to_is_not_put_back_over_somebody_else(desk: conftest.Desk) -> None:
    more = meddling(desk, "ALTER ROLE burst SET work_mem = '48MB'", at=1)
    text = one_stage(
        "CREATE INDEX CONCURRENTLY i ON receipts (no_column)", "ALTER ROLE burst SET work_mem = '1MB'", more=more
    )

    answer = desk.stage(text)

    assert answer.code == 6
    assert read_configured(desk, "ALTER ROLE burst") == "48MB"


@pytest.mark.parametrize("at", [1, 2], ids=["before the change", "after the change"])
def test_an_index_that_somebody_else_made_is_neither_taken_as_made_nor_dropped(desk: conftest.Desk, at: int) -> None:
    foreign = FOREIGN_INDEX if at == 1 else f"DROP INDEX by_decision; {FOREIGN_INDEX}"

    answer = desk.stage(one_stage(INDEX, more=meddling(desk, foreign, at=at)))

    assert (answer.code, answer.document["state"]) == (6, "not-rolled-back")
    assert "somebody else made index by_decision" in answer.said
    assert desk.ask(DEFINITION).endswith("(platform_run_id)")


def test_an_index_that_somebody_else_dropped_does_not_come_back(desk: conftest.Desk) -> None:
    desk.ask(FOREIGN_INDEX)
    more = meddling(desk, "DROP INDEX by_decision", at=1)

    answer = desk.stage(one_stage("DROP INDEX CONCURRENTLY by_decision", more=more))

    assert answer.code == 6
    assert "somebody else dropped index by_decision" in answer.said
    assert desk.ask(DEFINITION) is None


def test_an_extension_that_somebody_else_made_during_a_stage_stays(desk: conftest.Desk) -> None:
    more = meddling(desk, "CREATE EXTENSION pg_stat_statements", at=1)

    answer = desk.stage(one_stage("CREATE EXTENSION pg_stat_statements", more=more))

    assert answer.code == 6
    assert "extension pg_stat_statements during the stage" in answer.said
    assert desk.ask("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'") == 1


def test_an_index_that_somebody_else_made_after_a_stage_was_killed_is_not_its_own(desk: conftest.Desk) -> None:
    words = ["db", "stage", str(desk.write(one_stage(INDEX))), "--dsn", "env:STAGE_DSN"]
    code = staging_driver.run_until_killed(
        [*words, "--folder", str(desk.folder / "staging")],
        controller_driver.Death(line=3, torn=False),
        environment={**os.environ, "STAGE_DSN": desk.dsn},
        said=desk.folder / "said",
    )
    cut = desk.call("status", str(desk.folder / "staging"))
    desk.ask(FOREIGN_INDEX)

    answer = desk.resume()

    assert (code, [change["done_utc"] for change in cut.document["stages"][0]["changes"]]) == (-9, [None])
    assert (answer.code, answer.document["state"]) == (6, "not-rolled-back")
    assert desk.ask(DEFINITION).endswith("(platform_run_id)")


@pytest.mark.parametrize(
    ("foreign", "back", "more"),
    [
        (FOREIGN_INDEX, "DROP INDEX by_decision", "    confirm: true\n"),
        ("ALTER ROLE burst SET work_mem = '48MB'", "ALTER ROLE burst RESET work_mem", "    confirm: true\n"),
        ("ALTER ROLE burst SET work_mem = '48MB'", "ALTER ROLE burst SET work_mem = '32MB'", "    restart: true\n"),
    ],
)
@pytest.mark.parametrize("way", [(), ("--roll-back",)], ids=["on", "back"])
def test_nothing_goes_on_from_a_pause_in_which_somebody_else_changed_what_the_stage_touches(
    desk: conftest.Desk, foreign: str, back: str, more: str, way: tuple[str, ...]
) -> None:
    paused = desk.stage(one_stage("ALTER ROLE burst SET work_mem = '32MB'", INDEX, more=more))
    desk.ask(foreign)
    if "restart" in more:
        desk.restart()

    refused = desk.resume(*way)
    desk.ask(back)
    done = desk.resume(*way)

    assert (paused.code, refused.code) == (3, 4)
    assert "changed by somebody else during the pause" in refused.said
    assert (done.code, done.document["state"]) == ((3, "rolled-back") if way else (0, "passed"))


@pytest.mark.parametrize(
    ("more", "by_hand"),
    [
        ("    restart: true\n", "ALTER ROLE burst RESET work_mem"),
        ("    restart: true\n", "DROP INDEX by_decision"),
        (WORSENS, "ALTER ROLE burst RESET work_mem"),
    ],
)
def test_what_was_taken_back_by_hand_during_a_pause_keeps_a_stage_from_going_on_and_not_from_going_back(
    desk: conftest.Desk, more: str, by_hand: str
) -> None:
    at_first = desk.snapshot().content()
    (desk.folder / "figures").write_text('{"p95": 100}')
    paused = desk.stage(one_stage("ALTER ROLE burst SET work_mem = '32MB'", INDEX, more=more))
    desk.ask(by_hand)
    if "restart" in more:
        desk.restart()

    refused = desk.resume()
    back = desk.resume("--roll-back")

    assert (paused.code, refused.code) == (3, 4)
    assert "changed by somebody else during the pause" in refused.said
    assert (back.code, back.document["state"], back.document["roll_back"]["equal"]) == (3, "rolled-back", True)
    assert desk.snapshot().content() == at_first


@pytest.mark.parametrize(
    "statement",
    [
        INDEX,
        f"{MADE} ON public.receipts USING brin (created_at_utc) WITH (autosummarize = on)",
        (
            f'{MADE} ON receipts (platform_run_id COLLATE "C" text_pattern_ops DESC, decision ASC NULLS FIRST)'
            f" INCLUDE (event_id) WITH (fillfactor = 70) WHERE decision = 'a\\b' AND eb_partition > -3"
        ),
        f"{MADE} ON receipts (platform_run_id DESC NULLS FIRST) WHERE event_id IS NULL",
    ],
)
def test_an_index_is_known_by_what_postgres_says_of_it(desk: conftest.Desk, statement: str) -> None:
    desk.stage(one_stage(statement))
    definition = desk.ask("SELECT pg_get_indexdef('by_decision'::regclass)")

    described = [each for each in KINDS if change_grammar.describes_index(definition, parse_index(each))]

    assert change_grammar.describes_index(definition, parse_index(statement)), definition
    assert described == ([statement] if statement in KINDS else [])


KINDS = [
    INDEX,
    f"{INDEX} WHERE event_id IS NULL",
    INDEX.replace("(decision)", "(decision DESC)"),
    INDEX.replace("(decision)", "(decision NULLS FIRST)"),
    INDEX.replace("(decision)", "(decision) INCLUDE (event_id)"),
    INDEX.replace("(decision)", "(decision) WITH (fillfactor = 50)"),
    INDEX.replace("(decision)", "(decision, event_id)"),
    INDEX.replace("(decision)", "USING hash (decision)"),
    INDEX.replace("receipts", "audit.receipts"),
    INDEX.replace("by_decision", "by_other"),
]


def parse_index(statement: str) -> changes.CreateIndex:
    """The index of a statement."""
    change = change_grammar.parse_change(statement)
    assert isinstance(change, changes.CreateIndex)
    return change


def test_a_unique_index_of_the_name_is_nobodys_stage() -> None:
    definition = "CREATE UNIQUE INDEX by_decision ON public.receipts USING btree (decision)"

    assert not change_grammar.describes_index(definition, parse_index(INDEX))


def test_of_two_that_resume_at_once_the_later_one_rolls_nothing_back_that_passed(desk: conftest.Desk) -> None:
    command = ["sh", "-c", "until test -e over; do sleep 0.05; done; echo '{\"p\": 1}'"]
    waits = f"    confirm: true\n    check: {{command: {json.dumps(command)}}}\n"
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=waits))
    folder = str(desk.folder / "staging")
    holders = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'burst/stage lock'"
    first = desk.start("resume", folder)
    waiting.until(lambda: desk.ask(holders) == 1, what="the first to hold the lock")
    second = desk.start("resume", folder, "--roll-back")
    waiting.until(lambda: desk.ask(holders) == 2 or second.poll() is not None, what="the second to ask for it")
    (desk.folder / "over").touch()
    first.communicate(timeout=waiting.PROCESS_SECONDS)
    second.communicate(timeout=waiting.PROCESS_SECONDS)

    lines = [json.loads(line) for line in (desk.folder / "staging" / "journal.jsonl").read_text().splitlines()]
    assert (first.returncode, second.returncode) == (0, 4)
    assert lines[-1]["event"] == "staging-ended"
    assert [line["rolls_back"] for line in lines if line["event"] == "staging-resumed"] == [False]
    assert desk.ask("SHOW work_mem") == "32MB"


def test_a_roll_back_without_a_snapshot_is_not_called_byte_equal(desk: conftest.Desk) -> None:
    path = desk.write(one_stage("ALTER SYSTEM SET work_mem = '32MB'"))
    folder = str(desk.folder / "staging")
    staging_driver.run_until_killed(
        ["db", "stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", folder],
        controller_driver.Death(line=1, torn=False),
        environment={**os.environ, "STAGE_DSN": desk.dsn},
        said=desk.folder / "said",
    )

    code = main.main(["db", "resume", folder, "--roll-back"])

    shown = desk.capture.readouterr().out
    assert code == 3
    assert "byte for byte" not in shown
    assert "nothing was changed and nothing was compared" in shown


def write_own_file(desk: conftest.Desk, *lines: str) -> None:
    """Writes lines into postgresql.auto.conf by hand, and restarts the server."""
    path = Path(desk.ask("SHOW data_directory")) / "postgresql.auto.conf"
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))
    desk.restart()


@pytest.mark.parametrize(
    ("lines", "statement", "words"),
    [
        (
            ["work_mem = 8MB", "work_mem = 16MB"],
            "ALTER SYSTEM SET work_mem = '32MB'",
            "has it as work_mem and work_mem",
        ),
        (["Work_Mem = 8MB"], "ALTER SYSTEM SET work_mem = '32MB'", "has it as Work_Mem"),
        (["# set by ada"], "ALTER SYSTEM SET work_mem = '32MB'", "has a comment in line 3"),
        (["work_mem = '8MB' # ada"], "ALTER SYSTEM SET random_page_cost = 2", "has a comment in line 3"),
        (
            ["shared_preload_libraries = 'pg_stat_statements,auto_explain'"],
            "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'",
            "would come back in another form",
        ),
    ],
)
def test_a_line_that_alter_system_would_write_otherwise_is_refused_before_anything_is_applied(
    desk: conftest.Desk, lines: list[str], statement: str, words: str
) -> None:
    write_own_file(desk, *lines)
    at_first = desk.snapshot().content()

    answer = desk.stage(one_stage(statement, more="    restart: true\n" + BREAKS))

    assert answer.code == 4
    assert words in answer.said
    assert "nothing was applied" in answer.said
    assert desk.snapshot().content() == at_first


def test_a_value_with_a_number_sign_is_no_comment(desk: conftest.Desk) -> None:
    desk.ask("ALTER SYSTEM SET log_line_prefix = 'it''s # %m '")
    desk.restart()

    answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=BREAKS))

    assert (answer.code, answer.document["state"]) == (3, "rolled-back")


def test_what_somebody_else_left_to_a_restart_is_not_put_in_effect_by_the_restart_of_a_stage(
    desk: conftest.Desk,
) -> None:
    text = one_stage(RESTARTS, more="    restart: true\n" + BREAKS)
    desk.ask("ALTER SYSTEM SET max_connections = 70")
    desk.ask("SELECT pg_reload_conf()")
    waiting.until(
        lambda: desk.ask("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'"), what="the reading"
    )

    refused = desk.stage(text)
    desk.ask("ALTER SYSTEM RESET max_connections")
    with psycopg.connect(desk.dsn, autocommit=True) as connection:
        read_at = connection.execute("SELECT pg_conf_load_time(), pg_reload_conf()").fetchone()
    assert read_at is not None
    waiting.until(lambda: desk.ask("SELECT pg_conf_load_time()") != read_at[0], what="the server to read it again")
    paused = desk.stage(text)
    back = desk.resume("--roll-back")

    assert refused.code == 4
    assert "max_connections waits for a restart of the server already" in refused.said
    assert (paused.code, paused.document["pause"]["kind"]) == (3, "restart")
    assert (back.code, back.document["state"]) == (3, "rolled-back")


def test_a_library_that_the_server_lacks_is_refused_because_it_would_not_start_again(desk: conftest.Desk) -> None:
    more = "    restart: true\n" + BREAKS

    lacks, has = (
        desk.stage(one_stage(f"ALTER SYSTEM SET shared_preload_libraries = {names}", more=more), folder=folder)
        for names, folder in (("auto_explain, pgaudit", "lacks"), ("auto_explain, pg_stat_statements", "has"))
    )

    assert lacks.code == 4
    assert "the server has no library pgaudit, and would not start with it" in lacks.said
    assert (has.code, has.document["pause"]["kind"]) == (3, "restart")


def test_an_empty_list_of_libraries_is_refused_because_the_server_would_not_start_again(desk: conftest.Desk) -> None:
    answer = desk.stage(
        one_stage("ALTER SYSTEM SET shared_preload_libraries = ''", more="    restart: true\n" + BREAKS)
    )

    assert answer.code == 2
    assert "for none of them ALTER SYSTEM RESET shared_preload_libraries" in answer.said
