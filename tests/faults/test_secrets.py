"""No secret in any output: one is planted in DSN and key, and looked for in everything burst wrote or said."""

import dataclasses
import secrets
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from burst.kit import process_tree
from burst.sandbox import gateway
from tests import fixtures_ingest
from tests.faults import controller_driver, stage

NEVER = "2026-02-21T02:00:00Z"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A stage whose secrets would be known again anywhere."""

    play: stage.Stage
    password: str
    api_key: str

    def found(self) -> dict[str, list[str]]:
        """Every file of the stage that holds a secret, in any spelling; what commands said are files there too."""
        plain = (self.password, self.api_key, self.play.dsn)
        spelled = {spell(secret) for secret in plain for spell in (str, _quoted, urllib.parse.quote_plus)}
        held = {}
        for path in sorted(path for path in self.play.folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            forms = [form for form in spelled if form.encode() in content]
            if forms:
                held[str(path.relative_to(self.play.folder))] = forms
        return held


def _quoted(secret: str) -> str:
    return urllib.parse.quote(secret, safe="")


@pytest.fixture
def planted(ingest: fixtures_ingest.Site, tmp_path: Path) -> Iterator[Planted]:
    """A role of its own with a password no encoding leaves alone, and a gateway with a key of its own."""
    role, password = f"counter_{secrets.token_hex(4)}", f"p@ss/{secrets.token_hex(8)}:w%rd"
    api_key = f"key+{secrets.token_hex(8)}/=="
    name = sql.Identifier(role)
    with psycopg.connect(ingest.dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        owner.execute(sql.SQL("GRANT SELECT ON receipts, admissions TO {}").format(name))
    url = urllib.parse.urlsplit(ingest.dsn)
    login = f"{role}:{_quoted(password)}"
    dsn = urllib.parse.urlunsplit(url._replace(netloc=f"{login}@{url.netloc.rpartition('@')[2]}"))
    with gateway.start(dsn=ingest.dsn, api_key=api_key) as running:
        play = stage.Stage(folder=tmp_path, dsn=dsn, host=running.url, api_key=api_key)
        yield Planted(play=play, password=password, api_key=api_key)
        play.end()
    with psycopg.connect(ingest.dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


def test_a_run_and_all_commands_about_it_show_no_secret(planted: Planted) -> None:
    play = planted.play
    plan = play.plan(stage.UNHURRIED)
    command, ran = play.begin(plan, "--log-format", "json", fate=(controller_driver.HOLD_AT_GO,))
    ran.reached("go-given")
    codes = {"status": play.burst("status", ran.folder).code}

    command.go_on()
    codes["run"] = command.wait().code
    codes["resume"] = play.burst("resume", ran.folder).code
    codes["verify"] = play.burst("verify", ran.folder).code
    codes["report"] = play.burst("report", ran.folder, "-o", play.folder / "report.html").code
    codes["stop"] = play.burst("stop", ran.folder).code
    codes["plan"] = play.burst("plan", plan).code

    assert codes == dict.fromkeys(codes, 0)
    assert planted.found() == {}


def test_tasks_are_given_the_key_alone_and_the_watchdog_nothing(planted: Planted) -> None:
    command, ran = planted.play.begin(planted.play.plan(window=60, cap=100))
    ran.reached("go-given")
    tasks, watchdogs = ran.tasks(), ran.watchdogs()

    given_to_tasks = [_secrets_of(planted, process) for process in tasks]
    given_to_watchdogs = [_secrets_of(planted, process) for process in watchdogs]
    words = [word for process in [*tasks, *watchdogs] for word in process.cmdline()]

    command.kill()
    assert len(tasks) >= 4, "two guards and what they guard"
    assert given_to_tasks == [{"IG_API_KEY"}] * len(tasks)
    assert given_to_watchdogs == [set()]
    assert not [word for word in words if planted.password in word or planted.api_key in word]


def _secrets_of(planted: Planted, process: psutil.Process) -> set[str]:
    """The variables of a process that hold a planted secret."""
    secret = (planted.password, _quoted(planted.password), planted.api_key)
    return {
        name for name, value in process_tree.read_environment(process).items() if any(part in value for part in secret)
    }


def test_a_database_that_refuses_shows_no_secret(planted: Planted) -> None:
    wrong = planted.play.played_at(dsn=planted.play.dsn.replace("@", "-and-more@", 1))
    command, ran = wrong.begin(wrong.plan())

    refused = command.wait()
    asked = wrong.burst("preflight", wrong.plan())
    counted = wrong.burst("count", "--dsn", wrong.dsn, "--from", NEVER, "--to", NEVER.replace(":00Z", ":01Z"))

    assert (refused.code, asked.code, counted.code) == (4, 4, 4)
    assert "authentication failed" in refused.err
    assert "authentication failed" in counted.err
    assert not ran.folder.exists()
    assert planted.found() == {}


def test_a_count_with_the_dsn_on_its_command_line_shows_no_secret(planted: Planted) -> None:
    window = ("--from", NEVER, "--to", NEVER.replace(":00Z", ":01Z"))

    counted = planted.play.burst("count", "--dsn", planted.play.dsn, *window, "--json")
    unreadable = planted.play.burst("count", "--dsn", f"{planted.play.dsn}&nonsense=1", *window)
    no_table = planted.play.burst("count", "--dsn", planted.play.dsn, *window, "--table", "nothing_here")

    assert counted.code == 0, counted.err
    assert unreadable.code != 0
    assert no_table.code != 0
    assert planted.found() == {}


@pytest.mark.parametrize("key", ["receipts.dsn", "load.api_key", "load.host", "load.environment"])
def test_a_plan_that_holds_the_secret_itself_is_refused_without_showing_it(planted: Planted, key: str) -> None:
    play = planted.play
    section, name = key.split(".")
    literal: object = {
        "receipts.dsn": play.dsn,
        "load.api_key": planted.api_key,
        "load.host": f"http://user:{_quoted(planted.password)}@127.0.0.1:1",
        "load.environment": {"OTHER_DSN": play.dsn},
    }[key]
    plan = play.plan({section: {name: literal}})

    written = play.burst("run", plan)
    by_word = play.burst("run", play.plan(), "--set", f"{key}={literal}")

    assert (written.code, by_word.code) == (2, 2)
    assert not play.runs.exists()
    assert set(planted.found()) == {plan.name}
