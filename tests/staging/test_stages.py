"""`burst db stage` on a real server: stages that stay, red lines that are broken, pauses, restarts and refusals."""

import contextlib
import json
import re
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from burst.domain.basics import canonical
from burst.domain.documents import database_snapshots, database_stages, models
from burst.domain.staging import changes
from burst.sandbox import embedded_postgres
from burst.wiring import staged_changes
from tests import waiting
from tests.counting import strange_server
from tests.staging import conftest

COUNT = 'count: {from: "2026-02-21T02:00:00Z", to: "2026-02-21T02:20:00Z", scope: x, repeats: 1}'
BREAKS_IN_B = f"""
environment: dev
table: receipts
stages:
  A:
    apply:
      - ALTER SYSTEM SET work_mem = '32MB'
      - {conftest.INDEX}
    check: {{{COUNT}}}
    red_line: [{{figure: pages, at_most: 1000}}]
  B:
    apply:
      - ALTER SYSTEM SET maintenance_work_mem = '128MB'
      - ALTER SYSTEM RESET work_mem
      - ALTER ROLE burst SET statement_timeout = '55s'
      - CREATE EXTENSION pg_stat_statements
      - DROP INDEX CONCURRENTLY receipts_scope
      - VACUUM (ANALYZE) receipts
    check: {{command: [sh, -c, 'echo {{\\"p95\\": 3}}']}}
    red_line: [{{figure: p95, at_most: 2}}]
"""

OF_THE_PROCESS = re.compile(rb"(K\x00\x00\x00\x0c).{4}", re.DOTALL)
"""The message that tells a client of the process that serves it, and the number of that."""
BREAKS = """\
    check: {command: [echo, '{"p95": 9}']}
    red_line: [{figure: p95, at_most: 1}]
"""
WORSENS = """\
    check: {command: [sh, -c, 'cat figures; echo {\\"p95\\": 104} > figures']}
    red_line: [{figure: p95, not_worse_than: 5%, better: lower}]
    pause_when: [{regression: 2%}]
"""


def one_stage(*statements: str, more: str = "") -> str:
    """A file of one stage."""
    lines = "\n".join(f"      - {json.dumps(statement)}" for statement in statements)
    return f"environment: dev\nstages:\n  A:\n    apply:\n{lines}\n{more}"


def test_a_broken_red_line_in_b_leaves_the_database_byte_for_byte_as_a_left_it(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()

    answer = desk.stage(BREAKS_IN_B)

    result = models.read(database_stages.DatabaseStages, (desk.folder / "staging" / database_stages.NAME).read_bytes())
    stage_a, stage_b = result.stages
    assert (answer.code, answer.document["state"], result.outcome) == (3, "rolled-back", "rolled-back")
    assert (stage_a.end, stage_b.end) == ("passed", "broken")
    assert result.roll_back is not None
    assert result.roll_back.equal
    assert result.roll_back.proof == result.roll_back.target == stage_b.before == stage_a.after
    kept = (desk.folder / "staging" / result.roll_back.target.name).read_bytes()
    assert desk.snapshot().content() == kept != at_first
    assert canonical.digest(kept) == result.roll_back.target.sha256
    assert desk.ask("SHOW work_mem") == "32MB"
    assert desk.ask("SELECT to_regclass('receipts_scope') IS NOT NULL")
    assert desk.ask("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'") == 0


def test_where_the_file_says_so_a_broken_red_line_goes_back_to_the_start(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()

    answer = desk.stage("roll_back_to: start\n" + BREAKS_IN_B)

    assert answer.code == 3
    assert [stage["end"] for stage in answer.document["stages"]] == ["taken-back", "broken"]
    assert desk.snapshot().content() == at_first


def test_stages_that_hold_stay_and_every_document_is_in_the_folder(desk: conftest.Desk) -> None:
    answer = desk.stage(BREAKS_IN_B.replace("at_most: 2}", "at_most: 4}"))

    folder = desk.folder / "staging"
    journal = (folder / "journal.jsonl").read_bytes()
    result = models.read(database_stages.DatabaseStages, (folder / database_stages.NAME).read_bytes())
    assert (answer.code, result.outcome) == (0, "passed")
    assert canonical.digest(journal[: result.journal.size]) == result.journal.sha256
    for stage in result.stages:
        for reference in (stage.before, stage.after):
            assert reference is not None
            content = (folder / reference.name).read_bytes()
            assert canonical.digest(content) == reference.sha256
            assert models.read(database_snapshots.DatabaseSnapshot, content).content() == content
    assert desk.ask("SHOW maintenance_work_mem") == "128MB"
    assert desk.ask("SELECT to_regclass('receipts_scope') IS NULL")
    again = desk.resume()
    assert (again.code, again.document) == (0, answer.document)


def test_a_restart_at_a_pause_is_asked_for_looked_at_and_proved(desk: conftest.Desk) -> None:
    text = one_stage(
        "ALTER SYSTEM SET shared_buffers = '64MB'",
        more="    restart: true\n    pause_when: [{setting: shared_buffers, above: 16GB}]\n",
    )

    paused = desk.stage(text)
    too_early = desk.resume()
    before = desk.ask("SHOW shared_buffers")
    desk.restart()
    done = desk.resume()

    assert (paused.code, paused.document["pause"]["kind"], before) == (3, "restart", "128MB")
    assert too_early.code == 4
    assert "restart it" in too_early.said
    assert (done.code, done.document["state"]) == (0, "passed")
    assert desk.ask("SHOW shared_buffers") == "64MB"
    after = models.read(
        database_snapshots.DatabaseSnapshot,
        (desk.folder / "staging" / done.document["stages"][0]["after"]["name"]).read_bytes(),
    )
    (row,) = [row for row in after.settings if row.name == "shared_buffers"]
    assert (row.value, row.unit) == ("8192", "8kB")


def test_a_setting_that_needs_a_restart_to_go_back_pauses_again_and_is_proved(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()
    text = one_stage(
        "ALTER SYSTEM SET shared_buffers = '64MB'",
        more="    restart: true\n" + BREAKS,
    )

    desk.stage(text)
    desk.restart()
    broken = desk.resume()
    desk.restart()
    back = desk.resume()

    assert (broken.code, broken.document["pause"]["kind"]) == (3, "restart-back")
    assert (back.code, back.document["state"], back.document["roll_back"]["equal"]) == (3, "rolled-back", True)
    assert desk.snapshot().content() == at_first


def test_a_roll_back_that_is_not_byte_equal_is_said_loudly(desk: conftest.Desk) -> None:
    meddle = f"psql {json.dumps(desk.dsn)} -c 'ALTER DATABASE postgres SET random_page_cost = 3'"
    text = one_stage(
        "ALTER SYSTEM SET work_mem = '32MB'",
        more="    check: {command: [sh, -c, " + json.dumps("$MEDDLE; echo '{\"p95\": 9}'") + "]}\n"
        "    red_line: [{figure: p95, at_most: 1}]\n",
    )
    script = desk.folder / "meddle"
    script.write_text(f"#!/bin/sh\n{meddle} >/dev/null\n")
    script.chmod(0o755)

    answer = desk.stage(text.replace("$MEDDLE", str(script)))
    desk.ask("ALTER DATABASE postgres RESET random_page_cost")

    assert (answer.code, answer.document["state"]) == (6, "not-rolled-back")
    assert answer.document["roll_back"]["differences"] == [
        "role setting random_page_cost of every role in postgres: was not there"
    ]
    assert "IS NOT AS IT WAS" in answer.said
    assert desk.ask("SHOW work_mem") == "4MB"


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("    confirm: true\n", "confirm"),
        ("    pause_when: [{setting: work_mem, above: 16MB}]\n", "condition"),
        (WORSENS, "regression"),
    ],
)
def test_a_person_is_asked_and_may_say_go_or_go_back(desk: conftest.Desk, more: str, kind: str) -> None:
    at_first = desk.snapshot().content()
    figures = desk.folder / "figures"
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more)

    figures.write_text('{"p95": 100}')
    first = desk.stage(text, folder="first")
    back = desk.resume("--roll-back", folder="first")
    went_back = desk.snapshot().content()
    figures.write_text('{"p95": 100}')
    second = desk.stage(text, folder="second")
    done = desk.resume(folder="second")

    assert [first.document["pause"]["kind"], second.document["pause"]["kind"]] == [kind, kind]
    assert (back.code, back.document["state"], went_back) == (3, "rolled-back", at_first)
    assert (done.code, done.document["state"]) == (0, "passed")
    assert desk.ask("SHOW work_mem") == "32MB"


def test_nothing_goes_on_where_somebody_changed_the_database_during_a_pause(desk: conftest.Desk) -> None:
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    confirm: true\n"))
    desk.ask("ALTER ROLE burst SET random_page_cost = 3")

    refused = desk.resume()
    desk.ask("ALTER ROLE burst RESET random_page_cost")
    done = desk.resume()

    assert refused.code == 4
    assert "random_page_cost of burst" in refused.said
    assert done.code == 0


def test_the_overhead_of_a_change_that_observes_has_a_red_line_of_its_own(desk: conftest.Desk) -> None:
    without = desk.stage(one_stage("ALTER SYSTEM SET track_io_timing = on"), folder="without")
    held = desk.stage(
        one_stage("ALTER SYSTEM SET track_io_timing = on", more=f"    check: {{{COUNT}}}\n"), folder="held"
    )

    (line,) = held.document["stages"][0]["red_lines"]
    assert without.code == 2
    assert "held against the figures before it" in without.said
    assert (line["figure"], line["limit"]) == ("least_seconds", "not worse than 5 % against before")
    assert held.code == (0 if line["holds"] else 3)


@pytest.mark.parametrize(
    ("before", "statement", "words"),
    [
        ("SELECT 1", "ALTER ROLE other SET track_io_timing = on", "whose sessions do not begin with this"),
        ("SELECT 1", "ALTER DATABASE postgres SET log_duration = on", "whose sessions do not begin with this"),
        (
            "ALTER ROLE burst SET track_io_timing = off",
            "ALTER SYSTEM SET track_io_timing = on",
            "which has a value of its own (track_io_timing of burst in the catalog)",
        ),
    ],
)
def test_an_overhead_that_the_sessions_of_the_check_would_not_meet_is_refused(
    desk: conftest.Desk, before: str, statement: str, words: str
) -> None:
    desk.ask("CREATE ROLE other")
    desk.ask(before)

    answer = desk.stage(one_stage(statement, more=f"    check: {{{COUNT}}}\n"))
    desk.ask("DROP ROLE other")

    assert answer.code == 4
    assert f"{words}, so its overhead would not be measured" in answer.said


def test_the_overhead_of_a_setting_of_the_role_that_counts_is_measured(desk: conftest.Desk) -> None:
    answer = desk.stage(one_stage("ALTER ROLE burst SET track_io_timing = on", more=f"    check: {{{COUNT}}}\n"))

    (line,) = answer.document["stages"][0]["red_lines"]
    assert (line["figure"], line["before"] is not None) == ("least_seconds", True)


def test_the_figures_of_a_database_check_may_be_a_red_line(desk: conftest.Desk) -> None:
    more = (
        "    check: {database: true}\n    red_line:\n      - {figure: reading.health.round_trip_seconds, at_most: 60}\n"
        "      - {figure: reading.connections.maximum, not_worse_than: 0%, better: higher}\n"
    )

    answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more))

    (stage,) = answer.document["stages"]
    assert (answer.code, answer.said.count("holds: ")) == (0, 2)
    assert stage["figures_before"]["reading.connections.maximum"] == 60


def test_a_table_whose_name_is_quoted_is_asked_by_every_check(desk: conftest.Desk) -> None:
    desk.ask('CREATE TABLE "Receipts" (LIKE receipts INCLUDING ALL)')
    by_figure = {"database: true": "reading.health.round_trip_seconds", COUNT: "pages"}

    codes = []
    for index, (check, figure) in enumerate(by_figure.items()):
        more = f"    check: {{{check}}}\n    red_line: [{{figure: {figure}, at_most: 100}}]\n"
        text = "table: '\"Receipts\"'\n" + one_stage('ANALYZE "Receipts"', more=more)
        codes.append(desk.stage(text, folder=str(index)).code)

    assert codes == [0, 0]


def test_a_check_that_another_burst_refused_says_why(desk: conftest.Desk) -> None:
    more = "    check: {database: true}\n    red_line: [{figure: reading.connections.maximum, at_least: 1}]\n"

    answer = desk.stage("table: nowhere\n" + one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more))

    (stage,) = answer.document["stages"]
    assert answer.code == 3
    assert "burst db check ended with 4: " in stage["reason"]
    assert "nowhere" in stage["reason"]


def test_a_stage_whose_changes_are_in_the_database_is_not_called_one_that_was_not_reached(desk: conftest.Desk) -> None:
    more = "    restart: true\n"
    paused = desk.stage(
        one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more) + "  B: {apply: [ANALYZE receipts]}\n"
    )
    status = desk.call("status", str(desk.folder / "staging"))

    for answer in (paused, status):
        assert [stage["end"] for stage in answer.document["stages"]] == ["begun", "not-reached"]


def test_the_figures_of_a_burst_are_those_of_its_verdict_and_a_refused_one_has_none(
    desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {"overall_pass": True, "burst_load_checks": {"achieved_multiplier": {"value": 3.5}}}
    (desk.folder / "verdict.json").write_text(json.dumps(verdict))
    script = desk.folder / "burst"
    script.write_text('#!/bin/sh\necho "$@" >> asked; cat verdict.json; exit $(cat code)\n')
    script.chmod(0o755)
    monkeypatch.setattr(staged_changes, "BURST_WORDS", (str(script),))
    text = one_stage(
        "ANALYZE receipts",
        more="    check: {plan: my.yaml}\n    red_line: [{figure: achieved_multiplier, not_worse_than: 5%}]\n",
    )

    codes = []
    for code in ("0", "3", "4"):
        (desk.folder / "code").write_text(code)
        codes.append(desk.stage(text, folder=code).code)

    assert codes == [0, 0, 3]
    assert (desk.folder / "asked").read_text().splitlines() == ["run my.yaml --json --quiet"] * 5
    assert "burst run my.yaml ended with 4" in desk.said[-2]


def test_a_standby_is_refused(desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_postgres.start(durable=False) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_level = replica")
            folder = connection.execute("SHOW data_directory").fetchone()
        assert folder is not None
        server.stop_server()
        server.start_server()
        server.stop_server()
        (Path(folder[0]) / "standby.signal").touch(mode=0o644)
        server.start_server()
        monkeypatch.setenv("STAGE_DSN", server.dsn)

        answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'"))

    assert answer.code == 4
    assert "this server is a standby, which takes no change" in answer.said


def test_a_check_without_figures_and_a_change_that_the_server_refuses_go_back(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()
    more = "    check: {command: [sh, -c, 'test -e once && exit 7; touch once; echo {\\\"p95\\\": 1}']}\n"

    failing = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=more), folder="failing")
    refused = desk.stage(
        one_stage("ALTER SYSTEM SET work_mem = '32MB'", "CREATE INDEX CONCURRENTLY i ON receipts (no_column)"),
        folder="refused",
    )

    assert (failing.code, refused.code) == (3, 3)
    assert "gave no figures" in failing.document["roll_back"]["reason"]
    assert 'column "no_column" does not exist' in refused.document["roll_back"]["reason"]
    assert desk.snapshot().content() == at_first


def test_a_cut_index_build_is_ended_dropped_and_made_again(desk: conftest.Desk) -> None:
    path = desk.write(one_stage(conftest.INDEX))
    folder = desk.folder / "staging"
    with psycopg.connect(desk.dsn) as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", str(folder))
        waiting.until(
            lambda: desk.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1, what="an invalid index"
        )
        process.kill()
        process.communicate()
        writer.rollback()
    done = desk.resume()

    assert done.code == 0
    assert desk.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'receipts_scope'::regclass")
    assert desk.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


def test_of_two_at_once_the_second_is_refused_by_name_and_applies_nothing(desk: conftest.Desk) -> None:
    waits = "    check: {command: [sh, -c, 'until test -e over; do sleep 0.05; done']}\n"
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'", more=waits)
    process = desk.start(
        "stage", str(desk.write(text, "long.yaml")), "--dsn", "env:STAGE_DSN", "--folder", str(desk.folder / "long")
    )
    waiting.until(lambda: (desk.folder / "long" / "journal.jsonl").exists(), what="the first to begin")

    other = desk.server.create_database()
    refused = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '64MB'"))
    process.kill()
    process.communicate()
    (desk.folder / "over").touch()
    desk.server.drop_database(other.rpartition("/")[2].partition("?")[0])

    assert refused.code == 4
    assert "staged changes are at work on this server already: by role burst" in refused.said
    assert not (desk.folder / "staging").exists()
    assert desk.ask("SHOW work_mem") == "4MB"


@contextlib.contextmanager
def pooler(dsn: str) -> Iterator[str]:
    """The DSN of a relay that tells its clients of another process than the server's, as poolers do."""
    parameters = psycopg.conninfo.conninfo_to_dict(dsn)
    path = f"{parameters['host']}/.s.PGSQL.{parameters['port']}"

    def relay(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(path)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    chunk = source.recv(65536)
                    if not chunk:
                        return
                    if source is client:
                        server.sendall(chunk)
                    else:
                        client.sendall(OF_THE_PROCESS.sub(lambda found: found[1] + b"\0\0\0\7", chunk))

    def greet(client: socket.socket) -> None:
        threading.Thread(target=relay, args=[client.dup()], daemon=True).start()

    with strange_server.listening(greet) as (port, _):
        shown = {**parameters, "host": "127.0.0.1", "port": port, "sslmode": "disable", "gssencmode": "disable"}
        yield psycopg.conninfo.make_conninfo("", **shown)


def test_a_pooler_is_refused_because_its_sessions_hold_no_lock_of_anybody(
    desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pooler(desk.dsn) as dsn:
        monkeypatch.setenv("STAGE_DSN", dsn)
        answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'"))

    assert answer.code == 4
    assert "leads through a pooler" in answer.said
    assert not (desk.folder / "staging").exists()
    assert desk.ask("SHOW work_mem") == "4MB"


def test_a_lost_lock_stops_the_work_and_a_resume_goes_on(desk: conftest.Desk) -> None:
    path = desk.write(one_stage(conftest.INDEX))
    folder = desk.folder / "staging"
    with psycopg.connect(desk.dsn) as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", str(folder))
        waiting.until(lambda: desk.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1, what="the build")
        desk.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'burst/stage lock'")
        _, said = process.communicate(timeout=waiting.PROCESS_SECONDS)
        writer.rollback()
    done = desk.resume()

    assert process.returncode == 4
    assert b"the lock of staged changes was lost" in said
    assert done.code == 0


def test_a_process_that_is_told_to_end_in_the_middle_of_a_change_is_resumed(desk: conftest.Desk) -> None:
    path = desk.write(one_stage(conftest.INDEX))
    folder = desk.folder / "staging"
    with psycopg.connect(desk.dsn) as writer:
        writer.execute("INSERT INTO receipts (receipt_id, platform_run_id) VALUES ('r', 's')")
        process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", str(folder))
        waiting.until(lambda: desk.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1, what="the build")
        process.terminate()
        process.communicate(timeout=waiting.PROCESS_SECONDS)
        writer.rollback()
    cut = desk.call("status", str(folder))
    done = desk.resume()

    assert process.returncode == 143
    assert (cut.code, cut.document["state"]) == (0, "cut")
    assert [change["done_utc"] for change in cut.document["stages"][0]["changes"]] == [None]
    assert (done.code, done.document["state"]) == (0, "passed")


def test_an_owner_who_is_no_superuser_makes_an_index_and_goes_back(
    desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ask("CREATE ROLE stage_owner LOGIN PASSWORD 'owner-pass-word'")
    desk.ask("ALTER TABLE receipts OWNER TO stage_owner")
    desk.ask("GRANT CREATE ON SCHEMA public TO stage_owner")
    monkeypatch.setenv("STAGE_DSN", re.sub(r"//burst:[^@]*@", "//stage_owner:owner-pass-word@", desk.dsn))

    made = desk.stage(one_stage(conftest.INDEX, "VACUUM (ANALYZE) receipts"), folder="made")
    broken = desk.stage(
        one_stage("DROP INDEX CONCURRENTLY receipts_scope", "ALTER ROLE stage_owner SET work_mem = '8MB'", more=BREAKS)
    )
    desk.ask("DROP OWNED BY stage_owner")
    desk.ask("DROP ROLE stage_owner")

    assert (made.code, made.document["state"]) == (0, "passed")
    assert (broken.code, broken.document["roll_back"]["equal"]) == (3, True)
    before = made.document["stages"][0]["before"]["name"]
    assert json.loads((desk.folder / "made" / before).read_bytes())["configured"] is None


def test_a_folder_is_never_begun_twice(desk: conftest.Desk) -> None:
    text = one_stage("VACUUM receipts")
    first = desk.stage(text)
    journal = (desk.folder / "staging" / "journal.jsonl").read_bytes()

    second = desk.stage(text)

    assert (first.code, second.code) == (0, 4)
    assert "burst db resume" in second.said
    assert (desk.folder / "staging" / "journal.jsonl").read_bytes() == journal


def test_a_staging_goes_on_only_on_its_own_database(desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    confirm: true\n"))
    monkeypatch.setenv("OTHER_DSN", desk.server.dsn)

    refused = desk.resume("--dsn", "env:OTHER_DSN")
    done = desk.resume()

    assert refused.code == 4
    assert "which is not the one that the journal began on" in refused.said
    assert done.code == 0


def test_a_role_whose_sessions_end_soon_keeps_its_lock_and_its_changes(desk: conftest.Desk) -> None:
    desk.ask("ALTER ROLE burst SET idle_session_timeout = '200ms'")
    desk.ask("ALTER ROLE burst SET statement_timeout = '2s'")
    text = one_stage(
        conftest.INDEX,
        more="    confirm: true\n    check: {command: [sh, -c, 'sleep 1; echo {\\\"p95\\\": 1}']}\n",
    )

    desk.stage(text)
    done = desk.resume()

    assert (done.code, done.document["state"]) == (0, "passed")


@pytest.mark.parametrize("environment", ["staging", "pilot", "prod"])
def test_a_guarded_environment_needs_a_name_and_a_yes(desk: conftest.Desk, environment: str) -> None:
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'").replace("dev", environment)
    tried: Sequence[Sequence[str]] = [[], ["--yes"], ["--operator", "ada"]]

    refused = [desk.stage(text, *words) for words in tried]
    done = desk.stage(text, "--yes", "--operator", "ada")

    assert [answer.code for answer in refused] == [4, 4, 4]
    assert all("nothing was applied" in answer.said for answer in refused)
    assert "--operator NAME and --yes" in refused[0].said
    assert (done.code, done.document["operators"]) == (0, ["ada"])


def test_another_person_than_the_one_of_the_file_goes_on_and_is_named(desk: conftest.Desk) -> None:
    text = "operator: ada\n" + one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    confirm: true\n")
    text = text.replace("environment: dev", "environment: prod")

    other = desk.stage(text, "--operator", "bob", "--yes", folder="other")
    desk.stage(text, "--operator", "ada", "--yes")
    back = desk.resume("--operator", "bob", "--yes", "--roll-back")

    assert (other.code, "the file names ada" in other.said) == (2, True)
    assert (back.code, back.document["operators"]) == (3, ["ada", "bob"])


def test_a_pause_in_production_is_ended_by_a_name_and_a_yes_alone(desk: conftest.Desk) -> None:
    text = one_stage("ALTER SYSTEM SET work_mem = '32MB'", more="    confirm: true\n").replace("dev", "prod")
    desk.stage(text, "--yes", "--operator", "ada")

    refused = desk.resume()
    done = desk.resume("--yes", "--operator", "bob")

    assert (refused.code, done.code) == (4, 0)
    assert done.document["operators"] == ["ada", "bob"]


def test_a_role_without_the_rights_is_refused_before_anything_is_applied(
    desk: conftest.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ask("CREATE ROLE stage_reader LOGIN PASSWORD 'reader-pass-word'")
    login = re.sub(r"//burst:[^@]*@", "//stage_reader:reader-pass-word@", desk.dsn)
    monkeypatch.setenv("STAGE_DSN", login)
    at_first = desk.snapshot().content()
    text = one_stage(
        "ALTER SYSTEM SET work_mem = '32MB'", conftest.INDEX, "CREATE EXTENSION pg_stat_statements", "VACUUM receipts",
        "ALTER ROLE burst SET work_mem = '8MB'", more="    check: {command: [echo, '{\"p95\": 1}']}\n"
        "    red_line: [{figure: p95, at_most: 2}]\n",
    )  # fmt: skip

    answer = desk.stage(text)
    desk.ask("DROP ROLE stage_reader")

    assert answer.code == 4
    for words in ("ALTER SYSTEM SET work_mem", "receipts_scope", "EXTENSION", "VACUUM", "ALTER ROLE burst"):
        assert words in answer.said, words
    assert desk.snapshot().content() == at_first
    assert not (desk.folder / "staging").exists()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE INDEX CONCURRENTLY i ON nowhere (a)", "no such table"),
        ("CREATE INDEX CONCURRENTLY receipts_run_idx ON receipts (decision)", ""),
        ("DROP INDEX CONCURRENTLY nowhere", "no such index"),
        ("CREATE EXTENSION no_such_extension", "no such extension"),
        ("ALTER SYSTEM SET shared_buffers = '64MB'", "restart: true"),
        ("ALTER ROLE burst SET shared_buffers = '64MB'", "use ALTER SYSTEM"),
        ("ALTER ROLE burst SET work_mem = 'much'", "invalid value"),
        ("ALTER SYSTEM SET work_mem = '64 mb'", 'invalid value for parameter "work_mem"'),
        ("ALTER SYSTEM SET enable_seqscan = perhaps", 'parameter "enable_seqscan" requires a Boolean value'),
        ("ALTER SYSTEM SET max_wal_size = '4 Gb'", "takes no such unit; allowed: 2 to 2147483647, counted in MB"),
        ("ALTER SYSTEM SET checkpoint_timeout = '2d'", "takes no such value; allowed: 30 to 86400, counted in s"),
        ("ALTER SYSTEM SET checkpoint_completion_target = 1.01", "takes no such value; allowed: 0 to 1"),
        ("ALTER SYSTEM SET statement_timeout = -1", "takes no such value; allowed: 0 to 2147483647, counted in ms"),
        ("ALTER ROLE nobody_here SET work_mem = '8MB'", "does not exist"),
        ("ANALYZE nowhere", "no such table"),
    ],
)
def test_a_change_that_cannot_be_applied_is_refused_before_any_is(
    desk: conftest.Desk, statement: str, words: str
) -> None:
    if not words:
        desk.ask("CREATE INDEX receipts_run_idx ON receipts (platform_run_id)")
        words = "something has this name already"

    answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '32MB'", statement))

    assert answer.code == 4
    assert words in answer.said
    assert "nothing was applied" in answer.said
    assert desk.ask("SHOW work_mem") == "4MB"


def test_an_index_that_could_not_be_made_again_is_not_dropped(desk: conftest.Desk) -> None:
    desk.ask("CREATE INDEX by_day ON receipts (substr(created_at_utc, 1, 10))")

    answer = desk.stage(one_stage("DROP INDEX CONCURRENTLY by_day"))

    assert answer.code == 4
    assert "could not make it again" in answer.said


def test_an_index_of_a_table_that_no_snapshot_holds_is_not_dropped_and_is_put_back_where_one_does(
    desk: conftest.Desk,
) -> None:
    desk.ask("CREATE TABLE admissions_log (event_id text)")
    desk.ask("CREATE INDEX by_event ON admissions_log (event_id)")
    drop = "DROP INDEX CONCURRENTLY by_event"

    refused = desk.stage(one_stage(drop, more=BREAKS))
    there = desk.ask("SELECT to_regclass('by_event') IS NOT NULL")
    broken = desk.stage(one_stage("ANALYZE admissions_log", drop, more=BREAKS), folder="held")

    assert (refused.code, there) == (4, True)
    assert "the tables of this file have no such index" in refused.said
    assert (broken.code, broken.document["state"]) == (3, "rolled-back")
    assert desk.ask("SELECT to_regclass('by_event') IS NOT NULL")


def test_indexes_of_one_name_in_two_schemas_are_told_apart_by_their_schema(desk: conftest.Desk) -> None:
    desk.ask("CREATE SCHEMA audit CREATE TABLE receipts (platform_run_id text)")
    desk.ask("CREATE INDEX by_run ON audit.receipts (platform_run_id)")
    desk.ask("CREATE INDEX by_run ON receipts (platform_run_id)")
    made = "CREATE INDEX CONCURRENTLY in_both ON receipts (decision)"
    desk.ask("CREATE INDEX in_both ON audit.receipts (platform_run_id)")

    refused = [
        desk.stage(one_stage("ANALYZE audit.receipts", statement, more=BREAKS))
        for statement in ("DROP INDEX CONCURRENTLY by_run", made)
    ]
    whole = ("DROP INDEX CONCURRENTLY public.by_run", made.replace("ON receipts", "ON public.receipts"))
    broken = desk.stage(one_stage("ANALYZE audit.receipts", *whole, more=BREAKS))

    assert [answer.code for answer in refused] == [4, 4]
    assert all("write the schema too" in answer.said for answer in refused)
    assert (broken.code, broken.document["state"]) == (3, "rolled-back")
    assert desk.ask("SELECT to_regclass('public.by_run') IS NOT NULL")
    assert desk.ask("SELECT to_regclass('public.in_both') IS NULL")


def test_no_output_and_no_document_holds_the_password(desk: conftest.Desk) -> None:
    password = re.search(r"//burst:([^@]*)@", desk.dsn)
    assert password is not None

    desk.stage(BREAKS_IN_B)
    desk.stage(one_stage("ALTER SYSTEM SET work_mem = 'much'"), folder="refused")
    desk.call("status", str(desk.folder / "staging"))
    desk.call("stage", str(desk.write(one_stage("VACUUM receipts"))), "--dsn", desk.dsn)

    written = b"".join(path.read_bytes() for path in desk.folder.rglob("*") if path.is_file())
    everything = written + "".join(desk.said).encode()
    assert len(everything) > 10_000
    assert password[1].encode() not in everything


def test_an_index_made_from_every_part_of_the_grammar_comes_back_as_it_was(desk: conftest.Desk) -> None:
    whole = (
        'CREATE INDEX CONCURRENTLY "Odd ""name""" ON public.receipts USING btree '
        '(platform_run_id COLLATE "C" text_pattern_ops DESC NULLS LAST, created_at_utc) INCLUDE (decision) '
        "WITH (fillfactor = 70) WHERE decision = 'it''s' AND eb_partition > -3 AND event_id IS NOT NULL"
    )
    drop = 'DROP INDEX CONCURRENTLY public."Odd ""name"""'
    desk.stage(one_stage(whole), folder="made")
    made = desk.snapshot().content()

    answer = desk.stage(
        one_stage(
            drop, more="    check: {command: [echo, '{\"p95\": 9}']}\n    red_line: [{figure: p95, at_most: 1}]\n"
        )
    )

    assert answer.code == 3
    assert desk.snapshot().content() == made
    assert changes.quote_name('Odd "name"').encode() in made.replace(b'\\"', b'"')
