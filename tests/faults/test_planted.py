"""Preflight finds each fault planted here, under its own id and with exit 4, and nothing in a healthy setup.

Local ones on a real Postgres and a real gateway, those of AWS on the simulated one. A row of the table is a fault, what
is planted, and the finding that must name it.
"""

import contextlib
import dataclasses
import http.server
import json
import secrets
import signal
import socket
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from burst.adapters import ingest_client
from burst.adapters.aws import account, ecs_tasks, s3_store
from burst.cli import main
from burst.control import preflight
from burst.domain.basics import instants
from burst.domain.database import database_findings
from burst.domain.documents import halts
from burst.domain.preflight import findings
from burst.kit import aws
from burst.rehearsal import armed_faults, bootstrap, quotas, settings
from burst.sandbox import gateway
from burst.wiring import preparing
from tests import cases, fixtures_aws, loopback_server, waiting
from tests.faults import stage
from tests.fixtures_postgres import TemplatedServer

Changes = dict[str, Any]
Shown = pytest.CaptureFixture[str]
Planting = contextlib.AbstractContextManager[Changes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A healthy setup, and what a fault needs to be planted in it."""

    play: stage.Stage
    owner_dsn: str
    patch: pytest.MonkeyPatch
    cloud: fixtures_aws.Cloud | None = None

    @property
    def aws(self) -> fixtures_aws.Cloud:
        """The simulated AWS."""
        assert self.cloud is not None
        return self.cloud

    def ecs_plan(self) -> Path:
        """The healthy plan for that AWS."""
        return ecs_plan(self.play, self.aws.name)

    def file(self, name: str, content: bytes) -> str:
        """A file of the test's."""
        path = self.play.folder / name
        path.write_bytes(content)
        return str(path)

    def execute(self, statement: str) -> None:
        """Changes the database, as its owner."""
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


def ecs_plan(play: stage.Stage, name: str) -> Path:
    """A plan for a cluster, buckets and task definitions of this name."""
    target = {
        "kind": "ecs",
        "cluster": f"cluster-{name}",
        "task_definition": f"planned-{name}:1",
        "container": "burst",
        "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
        "reaper": reaper_of(name),
    }
    places = {place: f"s3://evidence-{name}/{place}" for place in ("run_control", "run_scoped")}
    layers = {"require": ["guard", "sidecar", "lease", "schedule"], "lease_ttl": "20s"}
    return play.plan({"target": target, "evidence": places, "layers": layers})


def reaper_of(name: str) -> dict[str, str]:
    """What the schedule runs."""
    return {
        "task_definition": f"reaper-{name}:1",
        "role_arn": "arn:aws:iam::123456789012:role/burst-scheduler",
        "group": "burst-preflight",
    }


@contextlib.contextmanager
def reader(database_dsn: str) -> Iterator[str]:
    """The DSN of a role that can only read."""
    role = sql.Identifier(name := f"reader_{secrets.token_hex(4)}")
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'readonly'").format(role))
        owner.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
        for setting, value in database_findings.ADVISED.items():
            limit = sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
            owner.execute(limit)
    url = urllib.parse.urlsplit(database_dsn)
    yield urllib.parse.urlunsplit(url._replace(netloc=f"{name}:readonly@{url.netloc.rpartition('@')[2]}"))
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(role))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A database, who may only read it, and the gateway that writes into it."""

    owner_dsn: str
    dsn: str
    host: str
    api_key: str


@pytest.fixture(scope="session")
def planted_site(postgres_template: TemplatedServer) -> Iterator[Site]:
    """One for a worker: what a fault changes in the database it takes back, and runs have scopes of their own."""
    owner_dsn = postgres_template.server.create_database(template=postgres_template.template)
    api_key = secrets.token_urlsafe(24)
    with reader(owner_dsn) as dsn, gateway.start(dsn=owner_dsn, api_key=api_key) as running:
        yield Site(owner_dsn=owner_dsn, dsn=dsn, host=running.url, api_key=api_key)


def on(site: Site, folder: Path) -> stage.Stage:
    """A stage on the site."""
    return stage.Stage(folder=folder, dsn=site.dsn, host=site.host, api_key=site.api_key)


@pytest.fixture
def ground(planted_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A healthy setup."""
    monkeypatch.setenv(stage.DSN_NAME, planted_site.dsn)
    monkeypatch.setenv(stage.API_KEY_NAME, planted_site.api_key)
    return Ground(play=on(planted_site, tmp_path), owner_dsn=planted_site.owner_dsn, patch=monkeypatch)


@pytest.fixture
def fresh_ground(ground: Ground) -> Ground:
    """A healthy setup whose tables are empty, so that any sample of them holds what is planted there."""
    ground.execute("truncate receipts, admissions")
    return ground


Row = tuple[Callable[[Ground], Planting], str]
"""How a fault is planted, and the finding that must name it."""


GRAVITY = ("passed", "warning", "refused")


def asked(plan: Path, shown: Shown) -> tuple[int, dict[str, str]]:
    """What `burst preflight` ends with, and the status of each check: the gravest, where it found more than once."""
    shown.readouterr()
    code = main.main(["preflight", str(plan), "--json", "--quiet"])
    captured = shown.readouterr()
    assert captured.out, captured.err
    document = json.loads(captured.out)
    assert document["passed"] == (code == 0)
    gravest: dict[str, str] = {}
    for finding in document["findings"]:
        before = gravest.get(finding["check"], "passed")
        gravest[finding["check"]] = max(before, finding["status"], key=GRAVITY.index)
    return code, gravest


# Each plants one fault, yields what of the plan has to change for it, and takes it away.


@contextlib.contextmanager
def only_plan(ground: Ground, **changes: Any) -> Iterator[Changes]:
    yield changes


def planned(**changes: Any) -> Callable[[Ground], Planting]:
    """A fault that is in the plan itself; a `{folder}` in a text is the test's folder."""

    def plant(ground: Ground) -> Planting:
        text = json.dumps(changes).replace("{folder}", str(ground.play.folder))
        return only_plan(ground, **json.loads(text))

    return plant


def observing(question: dict[str, Any]) -> Callable[[Ground], Planting]:
    """A plan that asks this series each second."""
    rule = {"blocker": "M10F-B7", "aggregate": "max", "at_most": 10}
    series = {"name": "lag", "rules": [rule], **question}
    return planned(observe={"every": "1s", "settle": "1s", "series": [series]})


def baseline_file(content: bytes, **more: Any) -> Callable[[Ground], Planting]:
    def plant(ground: Ground) -> Planting:
        return only_plan(ground, baseline={"file": ground.file("baseline.json", content), **more})

    return plant


def prior_file(content: bytes) -> Callable[[Ground], Planting]:
    return lambda ground: only_plan(ground, rerun={"only": ["M10F-B1"], "prior": ground.file("prior.json", content)})


def locustfile(content: bytes) -> Callable[[Ground], Planting]:
    def plant(ground: Ground) -> Planting:
        return only_plan(
            ground, load={"locustfile": ground.file("load.py", content), "command": None, "waits_for_go": None}
        )

    return plant


def variable(name: str, value: str | None) -> Callable[[Ground], Planting]:
    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        if value is None:
            ground.patch.delenv(name)
        else:
            ground.patch.setenv(name, value)
        yield {}

    return plant


def database(*, do: str, undo: str, **changes: Any) -> Callable[[Ground], Planting]:
    """A fault in the database; a `{reader}` in a statement is the role of the DSN."""

    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        role = str(urllib.parse.urlsplit(ground.play.dsn).username)
        try:
            ground.execute(do.replace("{reader}", role))
            yield changes
        finally:
            ground.execute(undo.replace("{reader}", role))

    return plant


def receipt(of: str, at: str, **changes: Any) -> Callable[[Ground], Planting]:
    """A receipt that is there already, in the scope `of`."""
    return database(do=RECEIPT.format(of, at), undo="delete from receipts where receipt_id = 'planted'", **changes)


def file_in_the_way(ground: Ground) -> Planting:
    ground.file("taken", b"mine")
    return only_plan(ground, evidence={"local": str(ground.play.folder / "taken" / "runs")})


@contextlib.contextmanager
def database_away(ground: Ground) -> Iterator[Changes]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        ground.patch.setenv(stage.DSN_NAME, f"postgresql://nobody@127.0.0.1:{held.getsockname()[1]}/ig")
        yield {"load": {"canary": False}}


@contextlib.contextmanager
def nobody_listens(ground: Ground) -> Iterator[Changes]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield {"load": {"host": f"http://127.0.0.1:{held.getsockname()[1]}"}}


@contextlib.contextmanager
def silent(ground: Ground) -> Iterator[Changes]:
    ground.patch.setattr(ingest_client, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield {"load": {"host": f"http://127.0.0.1:{listening.getsockname()[1]}"}}


PLAYED = b'{"account": "a", "number": 1}\n'


def played(recording: bytes = PLAYED, *, dsn: str | None = None, **playback: Any) -> Callable[[Ground], Planting]:
    """A playback of a recording; `dsn` is what the variable of its checkpoints holds, and `{empty}` a database without
    their table."""

    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        source = ground.file("recording.jsonl", recording)
        if dsn is not None:
            ground.patch.setenv("PLANTED_CHECKPOINT_DSN", dsn.replace("{empty}", ground.owner_dsn))
        section = {"source": source, "key": "account", **playback}
        profile = str(stage.ROOT / "locustfiles" / "playback.py")
        yield {"load": {"locustfile": profile, "command": None, "waits_for_go": None, "playback": section}}

    return plant


def halted(content: bytes) -> Callable[[Ground], Planting]:
    """This stands as the halt of the folder of runs."""

    def plant(ground: Ground) -> Planting:
        ground.play.runs.mkdir(exist_ok=True)
        (ground.play.runs / "halt.json").write_bytes(content)
        return only_plan(ground)

    return plant


HALT = halts.Halt(reason="customers see errors", by="ada@laptop", at_utc=cases.moment(0)).content()


@contextlib.contextmanager
def halted_on_s3(ground: Ground) -> Iterator[Changes]:
    place = {"Bucket": f"evidence-{ground.aws.name}", "Key": "run_control/halt.json"}
    ground.aws.s3.put_object(**place, Body=HALT)
    yield {}
    ground.aws.s3.delete_object(**place)


def alarm_in(state: str) -> Callable[[Ground], Planting]:
    """An alarm of the system under load that stands in this state."""

    def plant(ground: Ground) -> Planting:
        cloudwatch, name = aws.client("cloudwatch"), f"5xx-{ground.aws.name}-{state}"
        cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName="5xx", Namespace="ingest", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=5, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="planted")
        return only_plan(ground, stop_when=[{"alarm": f"{ALARMS}{name}"}])

    return plant


ALARMS = f"arn:aws:cloudwatch:{settings.REGION}:{settings.ACCOUNT}:alarm:"


def session_ends(seconds: float) -> Callable[[Ground], Planting]:
    """Credentials that say they end so many seconds from now."""

    def plant(ground: Ground) -> Planting:
        ends = instants.text(instants.later(datetime.now(UTC), seconds))
        return variable("AWS_CREDENTIAL_EXPIRATION", ends)(ground)

    return plant


def reaper(**changes: str) -> Callable[[Ground], Planting]:
    return lambda ground: only_plan(ground, target={"reaper": {**reaper_of(ground.aws.name), **changes}})


@contextlib.contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    """The address of somebody who answers everything with this, and keeps nothing."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST  # noqa: N815 - a name of http.server

        def log_message(self, format: str, *arguments: object) -> None: ...

    with loopback_server.run(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)) as server:
        yield loopback_server.find_url(server)


@contextlib.contextmanager
def no_receipt(ground: Ground) -> Iterator[Changes]:
    ground.patch.setattr(preflight, "PATIENCE_SECONDS", 3.0)  # time enough for each question to the database
    with answering(200) as url:
        yield {"load": {"host": url}}


SCOPE = "platform_20260221T020000Z"
RECEIPT = """
insert into receipts (receipt_id, platform_run_id, decision, created_at_utc) values ('planted', '{}', 'ADMIT', '{}')
"""
ADMISSION = """
insert into admissions (dedupe_key, state, platform_run_id, event_id) values ('planted', 'ADMITTED', '{}', 'e')
"""
QUARANTINES = """
create function quarantine() returns trigger language plpgsql as
$$ begin new.decision := 'QUARANTINE'; return new; end $$;
create trigger quarantine before insert on receipts for each row execute function quarantine()
"""
SKEWED = """
create schema skewed;
create function skewed.clock_timestamp() returns timestamptz language sql as
$$ select pg_catalog.clock_timestamp() + interval '10 seconds' $$;
grant usage on schema skewed to {reader};
alter role {reader} set search_path = skewed, pg_catalog, public
"""

OLD = cases.baseline(created_utc="2020-01-01T00:00:00Z")

OWN_PROFILE = str(stage.ROOT / "locustfiles" / "ingest.py")
LOCAL: dict[str, Row] = {
    "the baseline is missing": (planned(baseline={"file": "{folder}/none.json"}), "baseline"),
    "the baseline was changed": (baseline_file(cases.baseline().replace(b"50100", b"40100")), "baseline"),
    "the baseline is another": (baseline_file(cases.baseline(), sha256="0" * 64), "baseline"),
    "the baseline is too old": (
        baseline_file(cases.baseline(created_utc="2020-01-01T00:00:00Z"), max_age="1h"),
        "baseline",
    ),
    "the baseline is of another program": (
        baseline_file(cases.baseline(profile={"command": "another"}, environment={})),
        "baseline",
    ),
    "the promotion is not there": (
        planned(
            gates={
                "latency_p95_ms": 400,
                "modes": {"latency_p95_ms": {"mode": "required", "promoted_by": "0" * 64}},
                "records": ["{folder}/none.json"],
            }
        ),
        "gate-modes",
    ),
    "the run that this one repeats is not there": (
        planned(kind="reproducibility", reproduces={"snapshot": "{folder}/none", "keyset": {"sql": "select 1"}}),
        "reference",
    ),
    "the prior cannot be read": (prior_file(b"not json"), "prior"),
    "the rate is too low": (planned(load={"rate": 100}), "rate"),
    "the source is too small": (planned(load={"source_events": 5}), "source"),
    "the gates forbid the duplicates asked for": (planned(load={"events": {"duplicates": "2.5%"}}), "events"),
    "no such program": (planned(load={"command": ["no-such-program"]}), "program"),
    "no such locustfile": (planned(load={"locustfile": "{folder}/l.py", "command": None}), "program"),
    "the locustfile does not import": (locustfile(b"import nothing_like_it"), "program"),
    "the locustfile has no user": (locustfile(b"x = 1"), "program"),
    "the last line of a recording is torn": (played(PLAYED + b'{"acc'), "recording"),
    "a recording without the key": (played(b'{"number": 1}\n'), "recording"),
    "no such recording": (played(source="{folder}/nothing.jsonl"), "recording"),
    "the DSN of the checkpoints is not set": (played(checkpoint="env:PLANTED_CHECKPOINT_DSN"), "secrets"),
    "the DSN of the checkpoints is a placeholder": (
        played(dsn="postgres://<host>/TO_PIN", checkpoint="env:PLANTED_CHECKPOINT_DSN"),
        "secrets",
    ),
    "no table for the checkpoints": (played(dsn="{empty}", checkpoint="env:PLANTED_CHECKPOINT_DSN"), "checkpoint"),
    "no folder for the checkpoints": (played(checkpoint="folder:/proc/no-checkpoints"), "checkpoint"),
    "the key is not set": (variable(stage.API_KEY_NAME, None), "secrets"),
    "the key is a placeholder": (variable(stage.API_KEY_NAME, "REPLACE_ME_KEY"), "secrets"),
    "the DSN is not set": (variable(stage.DSN_NAME, None), "secrets"),
    "the signing key is missing": (planned(evidence={"sign": {"key": "file:{folder}/none.pem"}}), "signing"),
    "the runs folder cannot be made": (file_in_the_way, "runs-folder"),
    "the database is away": (database_away, "receipts"),
    "no such table": (planned(receipts={"table": "nothing_here"}), "receipts"),
    "no such column": (planned(receipts={"columns": {"decision": "verdict"}}), "receipts"),
    "a required phase has not run": (
        planned(requires={"phases": [{"name": "b", "place": "{folder}", "phase": "M10.E", "scope": "s"}]}),
        "entry-phase",
    ),
    "a required document is missing": (
        planned(requires={"documents": [{"name": "done", "document": "{folder}/done.json"}]}),
        "entry-document",
    ),
    "a required fact is otherwise": (
        planned(requires={"facts": [{"name": "ready", "sql": "select 1", "equals": 0}]}),
        "entry-fact",
    ),
    "a folder where evidence has to last": (planned(environment="prod"), "store-policy"),
    "the host has the route in it": (lambda ground: only_plan(ground, load={"host": f"{ground.play.host}/v1"}), "host"),
    "nobody listens": (nobody_listens, "host-reachable"),
    "the path is wrong": (
        lambda ground: only_plan(ground, load={"host": f"{ground.play.host}/elsewhere"}),
        "canary-route",
    ),
    "too few senders": (
        planned(load={"locustfile": OWN_PROFILE, "command": None, "waits_for_go": None, "rate": 900_000, "users": 1}),
        "sending",
    ),
    "the key is wrong": (variable(stage.API_KEY_NAME, "a-key-nobody-knows"), "canary-unauthorised"),
    "the runs are halted": (halted(HALT), "halt"),
    "a halt that nobody can read": (halted(b'{"schema":"burst.halt/v9"}'), "halt"),
    "a fact wants a stop already": (
        planned(stop_when=[{"name": "lag", "sql": "select 7", "at_least": 7}]),
        "stop-when",
    ),
    "a fact that cannot be asked": (
        planned(stop_when=[{"name": "lag", "sql": "select lag from nowhere", "at_least": 7}]),
        "stop-when",
    ),
    "a series that cannot be asked": (observing({"sql": "select lag from nowhere"}), "observe"),
    "a series of another scope": (
        observing({"sql": "select json_build_object('lag', 3, 'of', 'x')::text", "path": "/lag", "scope": "/of"}),
        "observe",
    ),
    "a series that is slower than its period": (observing({"sql": "select 3 from pg_sleep(1.2)"}), "observe"),
    "a series of text that must not be shown": (
        observing(
            {"sql": "select E'behind\\u202e'", "rules": [{"blocker": "M10F-B7", "aggregate": "last", "equals": "x"}]}
        ),
        "observe",
    ),
    "a program that writes no number": (observing({"command": ["echo", '{"lag": "high"}'], "path": "/lag"}), "observe"),
    "a program that is not there": (observing({"command": ["no-such-program"], "path": "/lag"}), "observe"),
    "the ingest is silent": (silent, "canary-unanswered"),
    "the ingest writes elsewhere": (no_receipt, "canary-no-receipt"),
}


def stamped(expression: str) -> Callable[[Ground], Planting]:
    """Receipts through a view that shows another time than the ingest wrote."""
    view = f"""
    create view stamped as select receipt_id, platform_run_id, event_id, decision, {expression} as created_at_utc
    from (select *, cast(created_at_utc as timestamptz) as stamp from receipts) as written;
    grant select on stamped to {{reader}}
    """  # noqa: S608 - the test's own expression
    return database(do=view, undo="drop view stamped", receipts={"table": "stamped"})


IN_THE_DATABASE: dict[str, Row] = {
    "receipts are stamped an hour ahead": (stamped("stamp + interval '1 hour'"), "timestamps"),
    "receipts are stamped in a local time": (stamped("timezone('Asia/Tokyo', stamp)"), "timestamps"),
    "receipts are stamped with a date": (stamped("stamp::date"), "timestamps"),
    "receipts are stamped by a clock that is behind": (stamped("stamp - interval '10 seconds'"), "clock-skew"),
    "receipts are stamped with infinity": (stamped("'infinity'::timestamptz"), "timestamps"),
    "a policy hides receipts": (
        database(
            do="alter table receipts enable row level security; create policy hiding on receipts using (false)",
            undo="drop policy hiding on receipts; alter table receipts disable row level security",
        ),
        "receipts",
    ),
    "the writers of the receipts cannot be seen": (
        database(
            do="create materialized view kept as select * from receipts; grant select on kept to {reader}",
            undo="drop materialized view kept",
            receipts={"table": "kept"},
        ),
        "receipts",
    ),
    "the role may not read": (
        database(do="revoke select on receipts from {reader}", undo="grant select on receipts to {reader}"),
        "receipts",
    ),
    "a time is no instant": (receipt("other", "yesterday-ish"), "receipts"),
    "times without offset": (receipt("other", "2026-02-21T02:00:00"), "timestamps"),
    "the role may write": (
        database(
            do="grant insert, delete on receipts to {reader}; "
            "alter role {reader} set default_transaction_read_only = off",
            undo="revoke insert, delete on receipts from {reader}; "
            "alter role {reader} set default_transaction_read_only = on",
            environment="staging",
        ),
        "database-role",
    ),
    "an index is not valid": (
        database(
            do="update pg_index set indisvalid = false where indexrelid = 'receipts_receipt'::regclass",
            undo="update pg_index set indisvalid = true where indexrelid = 'receipts_receipt'::regclass",
            receipts={"require_check": True},
        ),
        "database-check",
    ),
    "the clocks differ": (
        database(do=SKEWED, undo="alter role {reader} reset search_path; drop schema skewed cascade"),
        "clock-skew",
    ),
    "no time is left to count twice": (
        database(do="select 1", undo="select 1", receipts={"count_timeout": "5s", "settle": "5s"}),
        "count-cost",
    ),
    "receipts are in the scope": (receipt(SCOPE, "2026-02-21T02:00:00+00:00", scope=SCOPE), "scope-freshness"),
    "admissions are in the scope": (
        database(do=ADMISSION.format(SCOPE), undo="delete from admissions where dedupe_key = 'planted'", scope=SCOPE),
        "scope-freshness",
    ),
    "the ingest quarantines": (
        database(do=QUARANTINES, undo="drop function quarantine cascade"),
        "canary-not-admitted",
    ),
}


def test_a_healthy_local_setup_passes_every_check_and_leaves_one_canary_outside_every_window(
    fresh_ground: Ground, capsys: Shown
) -> None:
    plan = fresh_ground.play.plan(
        {"load": {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None}}
    )

    code, found = asked(_without_nothing(plan), capsys)

    assert code == 0, found
    assert found == dict.fromkeys(found, "passed")
    assert {"canary", "secrets", "host", "database-role", "program"} <= set(found)
    with psycopg.connect(fresh_ground.owner_dsn) as connection:
        rows = connection.execute("select event_id, decision from receipts").fetchall()
    assert [(row[0].startswith("burst-canary-"), row[1]) for row in rows] == [(True, "ADMIT")]


def _without_nothing(path: Path) -> Path:
    """The plan without the keys that were set to nothing."""
    sections = json.loads(path.read_text())
    kept = {
        name: {key: value for key, value in section.items() if value is not None}
        if isinstance(section, dict)
        else section
        for name, section in sections.items()
    }
    path.write_text(json.dumps(kept))
    return path


def _changed(path: Path, changes: Changes) -> Path:
    sections = json.loads(path.read_text())
    for name, section in changes.items():
        whole = name in ("baseline", "rerun", "requires") or not isinstance(section, dict)
        sections[name] = section if whole else {**sections.get(name, {}), **section}
    path.write_text(json.dumps(sections))
    return _without_nothing(path)


@pytest.mark.parametrize("fault", LOCAL)
def test_each_fault_planted_on_this_machine_is_found_by_its_id(fault: str, ground: Ground, capsys: Shown) -> None:
    plant, finding = LOCAL[fault]
    with plant(ground) as changes:
        code, found = asked(_changed(ground.play.plan(), changes), capsys)

    assert code == (2 if finding == "secrets" else 4)
    assert found[finding] == "refused", found


@pytest.mark.parametrize("fault", IN_THE_DATABASE)
def test_each_fault_planted_in_the_database_is_found_by_its_id_with_exit_4(
    fault: str, fresh_ground: Ground, capsys: Shown
) -> None:
    plant, finding = IN_THE_DATABASE[fault]
    with plant(fresh_ground) as changes:
        code, found = asked(_changed(fresh_ground.play.plan(), changes), capsys)

    assert code == 4
    assert found[finding] == "refused", found


def test_a_token_in_a_variable_that_ends_before_the_run_may_be_over_is_warned_of(ground: Ground, capsys: Shown) -> None:
    signed_at = instants.stamp(datetime.now(UTC))
    token = urllib.parse.quote(f"X-Amz-Date={signed_at}&X-Amz-Expires=9", safe="")
    dsn = f"{ground.play.dsn}{'&' if '?' in ground.play.dsn else '?'}application_name={token}"
    with variable(stage.DSN_NAME, dsn)(ground) as changes:
        code, found = asked(_changed(ground.play.plan(), changes), capsys)

    assert code == 0
    assert found == {**dict.fromkeys(found, "passed"), "secrets": "warning"}


def test_a_refused_run_launches_nothing_makes_no_folder_and_names_mending_and_page(
    ground: Ground, capsys: Shown
) -> None:
    code = main.main(["run", str(_changed(ground.play.plan(), {"load": {"rate": 100}}))])

    said = capsys.readouterr().err
    assert code == 4
    assert "FAIL rate: only 100.000 events a minute for 600.000 admits a minute required" in said
    assert f"mend: {findings.FINDING_KINDS['rate'].mend}" in said
    assert "see: burst runbook preflight#rate" in said
    assert said.rstrip().endswith("see: burst runbook exit-4")
    assert not ground.play.runs.exists()


def test_the_canary_of_a_run_is_in_no_window_and_its_findings_are_a_document_of_the_evidence(ground: Ground) -> None:
    command, ran = ground.play.begin(ground.play.plan(stage.UNHURRIED))
    answer = command.wait()

    assert answer.code == 0, answer.err
    document, snapshot = ran.document("preflight"), ran.snapshot()
    assert document["passed"] is True
    assert document["canary"]["receipt_utc"] < snapshot["burst_execution_window"]["counted_window"]["start_utc"]
    assert snapshot["burst_load_checks"]["counts"]["ADMIT"] == stage.admitted(ground.owner_dsn, snapshot)
    with psycopg.connect(ground.owner_dsn) as connection:
        rows = connection.execute(
            "select event_id from receipts where platform_run_id = %s and event_id like 'burst-canary-%%'",
            (snapshot["platform_run_id"],),
        ).fetchall()
    assert rows == [(document["canary"]["event_id"],)]
    assert "m10_f_preflight.json" in [ref["name"] for ref in snapshot["evidence_refs"]]
    assert ground.play.verify(ran) == 0


def test_a_scope_may_be_preflighted_again_and_again(fresh_ground: Ground, capsys: Shown) -> None:
    plan = _changed(fresh_ground.play.plan(), {"scope": SCOPE})

    codes = [asked(plan, capsys)[0] for _ in range(3)]

    assert codes == [0, 0, 0]


# AWS


@pytest.fixture(scope="session")
def furnished(simulated_aws: fixtures_aws.Shared, planted_site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name under which the simulated AWS has everything a healthy plan names. One for a worker: making it takes
    longer than most of these tests."""
    name, play = uuid.uuid4().hex[:12], on(planted_site, tmp_path_factory.mktemp("furnished"))
    plan = preparing.read_plan(preparing.RunRequest(plan_file=ecs_plan(play, name)))
    with fixtures_aws.operating(simulated_aws.world):
        bootstrap.furnish_account(plan, python=sys.executable, api_key=planted_site.api_key)
    return name


@pytest.fixture
def aws_ground(ground: Ground, cloud: fixtures_aws.Cloud, furnished: str) -> Ground:
    """The same with a simulated AWS that has everything the plan names."""
    return dataclasses.replace(ground, cloud=dataclasses.replace(cloud, name=furnished))


def definition(*containers: Mapping[str, Any], stop_timeout: int = 2) -> Callable[[Ground], Planting]:
    """Another revision of the task definition, of other containers."""

    def plant(ground: Ground) -> Planting:
        pinned = ground.aws.register(*(dict(one) for one in containers))
        return only_plan(ground, target={"task_definition": pinned})

    return plant


KEY: dict[str, Any] = {"secrets": [{"name": "IG_API_KEY", "valueFrom": bootstrap.API_KEY_PARAMETER}]}
GUARDED = fixtures_aws.container(entry_point=fixtures_aws.GUARD, **KEY)
LIFESPAN = fixtures_aws.container("lifespan", entry_point=("sh", "-c", "exit 64"))


def awslogs(group: str, **options: str) -> dict[str, Any]:
    named = {"awslogs-group": group, "awslogs-region": settings.REGION, "awslogs-stream-prefix": "burst"}
    return {"logConfiguration": {"logDriver": "awslogs", "options": {**named, **options}}}


def logs_to(group: str) -> dict[str, Any]:
    return {**GUARDED, **awslogs(group)}


DSN_SECRET = {"secrets": [{"name": "BURST_RECEIPTS_DSN", "valueFrom": bootstrap.DSN_PARAMETER}]}


def counter(**fields: Any) -> Callable[[Ground], Planting]:
    """Receipts counted by a task of such a container."""

    def plant(ground: Ground) -> Planting:
        pinned = ground.aws.register(fixtures_aws.container("counter", **fields))
        return only_plan(ground, receipts={"via": "task", "dsn": None, "task": {"task_definition": pinned}})

    return plant


def secret_from(name: str, value: str | None = None) -> Callable[[Ground], Planting]:
    """A task definition whose key comes from a parameter, which holds this, or is not there."""

    def plant(ground: Ground) -> Planting:
        if value is not None:
            aws.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
        container = {**GUARDED, "secrets": [{"name": "IG_API_KEY", "valueFrom": name}]}
        return definition(container, LIFESPAN)(ground)

    return plant


def unregistered(ground: Ground) -> Planting:
    pinned = ground.aws.register(GUARDED, LIFESPAN)
    ground.aws.ecs.deregister_task_definition(taskDefinition=pinned)
    return only_plan(ground, target={"task_definition": pinned})


def aws_fault(label: str, **options: Any) -> Callable[[Ground], Planting]:
    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        ground.patch.setattr(ecs_tasks, "CALL_PATIENCE_SECONDS", 0.5)
        ground.aws.world.faults.arm(label, options=armed_faults.FaultOptions(**options))
        yield {}
        ground.aws.world.faults.disarm(label)

    return plant


def one_shot(pinned: str) -> dict[str, Any]:
    return {"name": "report", "task_definition": pinned, "command": ["report"], "timeout": "30s"}


def bare_one_shot(**reaper_changes: str) -> Callable[[Ground], Planting]:
    """A command whose task definition has neither guard nor sidecar, and perhaps a reaper that is not there."""

    def plant(ground: Ground) -> Planting:
        target = {"reaper": {**reaper_of(ground.aws.name), **reaper_changes}}
        bare = ground.aws.register(fixtures_aws.container(), family=f"report-{ground.aws.name}")
        return only_plan(ground, target=target, before=[one_shot(bare)])

    return plant


def quota_of(vcpu: float) -> Callable[[Ground], Planting]:
    """So many vCPUs of Fargate for all tasks together; one of the plan's takes a quarter."""

    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        ground.aws.world.allow_vcpu(account.QUOTAS["FARGATE"], vcpu)
        try:
            yield {}
        finally:
            ground.aws.world.allow_vcpu(account.QUOTAS["FARGATE"], quotas.DEFAULT_VCPU)

    return plant


@contextlib.contextmanager
def running_task(ground: Ground, **fields: Any) -> Iterator[str]:
    """A task of a quarter of a vCPU in the plan's cluster, of the run `earlier` unless the fields say otherwise."""
    definition = ground.aws.register(fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM), family="earlier")
    cluster = f"cluster-{ground.aws.name}"
    task = ground.aws.start_task(definition, cluster=cluster, startedBy="burst/earlier", **fields)

    def lasting() -> bool:
        (described,) = ground.aws.ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
        return bool(described["lastStatus"] != "STOPPED")

    try:
        yield cluster
    finally:
        ground.aws.ecs.stop_task(cluster=cluster, task=task)
        waiting.until(lambda: not lasting(), seconds=20, what="the task of the earlier run to be gone")


def earlier_task(deadline_seconds: float, **changes: Any) -> Callable[[Ground], Planting]:
    """A task of another run, whose deadline is so many seconds from now."""

    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        deadline = instants.text(instants.later(datetime.now(UTC), deadline_seconds))
        with running_task(ground, tags=[{"key": "burst:deadline", "value": deadline}]):
            yield changes

    return plant


@contextlib.contextmanager
def quota_in_use(ground: Ground) -> Iterator[Changes]:
    """Half of a quota that is enough for the plan's tasks alone is in use."""
    with quota_of(0.5)(ground), running_task(ground):
        yield {}


def subnet(*, routed_to: str = "", **changes: Any) -> Callable[[Ground], Planting]:
    """A subnet of eleven free addresses in a VPC of its own, whose main route table leads nowhere, or there."""

    @contextlib.contextmanager
    def plant(ground: Ground) -> Iterator[Changes]:
        ec2 = aws.client("ec2", read_seconds=60)  # the first call makes the simulation import all of EC2
        vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        name = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/28")["Subnet"]["SubnetId"]
        (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        route = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
        if routed_to == "internet gateway":
            gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
            ec2.create_route(**route, GatewayId=gateway)
        if routed_to == "network interface":
            interface = ec2.create_network_interface(SubnetId=name)["NetworkInterface"]["NetworkInterfaceId"]
            ec2.create_route(**route, NetworkInterfaceId=interface)
        yield {**changes, "target": {"subnets": [name], **changes.get("target", {})}}

    return plant


@contextlib.contextmanager
def closed_group(ground: Ground) -> Iterator[Changes]:
    """A distributed plan whose security group lets nobody in."""
    ec2 = aws.client("ec2", read_seconds=60)
    vpc = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName=ground.aws.name, Description="closed", VpcId=vpc)["GroupId"]
    profile = {"locustfile": "locustfiles/ingest.py", "command": None, "waits_for_go": None}
    yield {"load": {**profile, "topology": "distributed"}, "target": {"security_groups": [group]}}


@contextlib.contextmanager
def place_that_is_taken(ground: Ground) -> Iterator[Changes]:
    """A run-scoped place in which the first attempt of this scope stands."""
    taken = f"s3://evidence-{ground.aws.name}/taken"
    s3_store.S3Store(f"{taken}/platform_taken/m10", client=ground.aws.s3).put_once("plan.json", b"{}")
    yield {"scope": "platform_taken", "evidence": {"run_scoped": taken}}


@contextlib.contextmanager
def store_that_overwrites(ground: Ground) -> Iterator[Changes]:
    """An S3 that takes every write and knows no condition."""
    with answering(200) as url:
        ground.patch.setenv("AWS_ENDPOINT_URL_S3", url)
        yield {}


ON_AWS: dict[str, Row] = {
    "another account": (planned(target={"cluster": "arn:aws:ecs:eu-west-2:999999999999:cluster/burst"}), "account"),
    "another region": (planned(target={"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/burst"}), "account"),
    "AWS's clock differs": (aws_fault("clock-skew:60"), "aws-clock"),
    "the session ends too soon": (session_ends(40), "credentials-expiry"),
    "no such cluster": (planned(target={"cluster": "nowhere"}), "cluster"),
    "no such revision": (planned(target={"task_definition": "burst-nothing:7"}), "task-definition"),
    "the revision was deregistered": (unregistered, "task-definition"),
    "no such container": (planned(target={"container": "other"}), "task-definition"),
    "no guard": (definition(fixtures_aws.container(**KEY), LIFESPAN), "task-guard"),
    "no sidecar": (definition(GUARDED), "task-sidecar"),
    "stopTimeout is too short": (planned(budget={"stop_grace": "20s"}), "task-stop-timeout"),
    "no log group": (definition(logs_to("/nowhere"), LIFESPAN), "task-logs"),
    "the counter is not told the DSN": (counter(**awslogs(bootstrap.LOG_GROUP, mode="blocking")), "counter"),
    "the counter cannot be heard": (counter(**DSN_SECRET), "counter"),
    "the counter's log group is missing": (counter(**DSN_SECRET, **awslogs("/nowhere", mode="blocking")), "counter"),
    "the definition has no DSN of the checkpoints": (
        planned(
            load={
                "locustfile": "locustfiles/playback.py",
                "command": None,
                "waits_for_go": None,
                "playback": {"source": "/srv/recording.jsonl", "key": "account", "checkpoint": "env:CHECKPOINT_DSN"},
            }
        ),
        "program",
    ),
    "the definition has no key": (definition({**GUARDED, "secrets": []}, LIFESPAN), "program"),
    "the task's secret is missing": (secret_from("/burst/nothing"), "task-secrets"),
    "the task's secret is a placeholder": (secret_from("/burst/placeholder", "REPLACE_ME"), "task-secrets"),
    "the task's key is wrong": (secret_from("/burst/wrong", "a-key-nobody-knows"), "canary-unauthorised"),
    "no such subnet": (planned(target={"subnets": ["subnet-0123456789abcdef0"]}), "network"),
    "no such security group": (planned(target={"security_groups": ["sg-0123456789abcdef0"]}), "network"),
    "no such bucket": (planned(evidence={"run_control": "s3://burst-no-such-bucket/x"}), "evidence-write-once"),
    "the first attempt of this scope stands there": (place_that_is_taken, "evidence-place"),
    "a store that overwrites": (store_that_overwrites, "evidence-write-once"),
    "no schedule group": (reaper(group="nowhere"), "schedule-layer"),
    "no role for the schedule": (reaper(role_arn="arn:aws:iam::123456789012:role/nobody"), "schedule-layer"),
    "no reaper": (reaper(task_definition="no-reaper:3"), "schedule-layer"),
    "no sweeper": (planned(environment="staging", layers={"require": ["guard", "sweeper"]}), "sweeper"),
    "the quota is too small": (quota_of(0.25), "quota"),
    "the quota is in use": (quota_in_use, "quota"),
    "fewer free addresses than tasks": (subnet(target={"tasks": 12}), "subnet-addresses"),
    "no way out of the subnet": (subnet(), "way-out"),
    "no way to the master": (closed_group, "master-port"),
    "an internet gateway and no public address": (subnet(routed_to="internet gateway"), "way-out"),
    "a read-only root": (definition({**GUARDED, "readonlyRootFilesystem": True}, LIFESPAN), "task-root-filesystem"),
    "more tasks than can be launched in time": (planned(target={"tasks": 400}), "start-timeout"),
    "a task past its deadline": (earlier_task(-5), "earlier-tasks"),
    "no such command before": (planned(before=[one_shot("burst-nothing:7")]), "one-shots"),
    "nothing would end a command": (bare_one_shot(group="nowhere"), "one-shots"),
    "no such required service": (
        planned(requires={"services": [{"name": "nowhere", "running": 1, "task_definition": "gateway:1"}]}),
        "entry-service",
    ),
    "another run is alive where none may be": (
        earlier_task(600, requires={"nothing_alive": True}),
        "entry-nothing-alive",
    ),
    "no such service": (planned(services=[{"name": "nowhere", "desired": 2}]), "services"),
    "the cost is over the cap": (planned(budget={"cost_cap_usd": 0.0001}), "cost"),
    "the run control is halted": (halted_on_s3, "halt"),
    "no such alarm": (planned(stop_when=[{"alarm": f"{ALARMS}nothing like it"}]), "stop-when"),
    "an alarm has gone off": (alarm_in("ALARM"), "stop-when"),
    "ECS is away": (aws_fault("ecs-down", manner=armed_faults.REFUSE), "cluster"),
}

WARNED_OF_ON_AWS: dict[str, Row] = {
    "a lease that a few slow answers make stale": (planned(layers={"lease_ttl": "18s"}), "lease-ttl"),
    "an alarm without data": (alarm_in("INSUFFICIENT_DATA"), "stop-when"),
    "the schedule alone would end a command": (bare_one_shot(), "one-shots"),
    "a way out that EC2 does not tell": (subnet(routed_to="network interface"), "way-out"),
    "another run's task": (earlier_task(600), "earlier-tasks"),
    "keys of a session that name no end": (variable("AWS_SESSION_TOKEN", "token"), "credentials-expiry"),
    "a task too small for its rate": (
        planned(load={"locustfile": "locustfiles/ingest.py", "command": None, "waits_for_go": None, "rate": 60_000}),
        "task-size",
    ),
}


ONE_WORKER = pytest.mark.xdist_group("planted-aws")
"""A simulated AWS and all a plan names in it take longer to make than a test."""


@ONE_WORKER
def test_a_healthy_setup_on_aws_passes_every_check(aws_ground: Ground, capsys: Shown) -> None:
    code, found = asked(aws_ground.ecs_plan(), capsys)

    assert code == 0, found
    assert found == dict.fromkeys(found, "passed")
    assert {"account", "network", "task-secrets", "evidence-write-once", "canary", "quota"} <= set(found)


@ONE_WORKER
def test_a_quota_that_aws_does_not_tell_is_warned_of_with_the_reason_and_refuses_nothing(
    aws_ground: Ground, capsys: Shown
) -> None:
    denial = {"__type": "AccessDeniedException", "Message": "not authorized to perform GetServiceQuota"}
    with answering(400, json.dumps(denial).encode()) as url:
        aws_ground.patch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
        code = main.main(["preflight", str(_changed(aws_ground.ecs_plan(), {})), "--json", "--quiet"])

    seen = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert code == 0, seen
    assert seen["quota"]["status"] == "warning"
    assert "not authorized to perform GetServiceQuota" in seen["quota"]["seen"]
    assert "grant servicequotas:GetServiceQuota to the role in use" in seen["quota"]["seen"]
    assert {finding["status"] for check, finding in seen.items() if check != "quota"} == {"passed"}


@ONE_WORKER
def test_a_counter_whose_log_may_lose_lines_of_an_answer_is_warned_of(aws_ground: Ground, capsys: Shown) -> None:
    aws.client("ssm").put_parameter(
        Name=bootstrap.DSN_PARAMETER, Value=aws_ground.play.dsn, Type="SecureString", Overwrite=True
    )
    with counter(**DSN_SECRET, **awslogs(bootstrap.LOG_GROUP))(aws_ground) as changes:
        code, found = asked(_changed(aws_ground.ecs_plan(), changes), capsys)

    assert code == 0, found
    assert found == {**dict.fromkeys(found, "passed"), "counter": "warning"}


@ONE_WORKER
def test_an_interrupted_preflight_leaves_no_task_that_counts(aws_ground: Ground) -> None:
    aws.client("ssm").put_parameter(
        Name=bootstrap.DSN_PARAMETER, Value=aws_ground.play.dsn, Type="SecureString", Overwrite=True
    )
    cluster = f"cluster-{aws_ground.aws.name}"

    def counting() -> list[str]:
        arns: list[str] = aws_ground.aws.ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
        return arns

    told = counter(**DSN_SECRET, **awslogs(bootstrap.LOG_GROUP, mode="blocking"))
    with told(aws_ground) as changes, socket.create_server(("127.0.0.1", 0)) as deaf:
        host = {"load": {"host": f"http://127.0.0.1:{deaf.getsockname()[1]}"}}  # so that the canary waits meanwhile
        plan = _changed(aws_ground.ecs_plan(), {**changes, **host})
        process = subprocess.Popen([sys.executable, "-m", "burst", "preflight", str(plan)], stdout=subprocess.DEVNULL)
        try:
            waiting.until(counting, seconds=120, what="the task that counts")
            process.send_signal(signal.SIGINT)
            code = process.wait(120)
        finally:
            process.kill()
            process.wait()

    assert code == 130
    waiting.until(lambda: not counting(), seconds=10, what="the task that counts to be gone")


@ONE_WORKER
@pytest.mark.parametrize("fault", ON_AWS)
def test_each_fault_planted_on_aws_is_found_by_its_id_with_exit_4(
    fault: str, aws_ground: Ground, capsys: Shown
) -> None:
    plant, finding = ON_AWS[fault]
    with plant(aws_ground) as changes:
        code, found = asked(_changed(aws_ground.ecs_plan(), changes), capsys)

    assert code == 4
    assert found[finding] == "refused", found


@ONE_WORKER
@pytest.mark.parametrize("fault", WARNED_OF_ON_AWS)
def test_what_may_turn_out_badly_on_aws_is_warned_of_by_its_id_alone_and_refuses_nothing(
    fault: str, aws_ground: Ground, capsys: Shown
) -> None:
    plant, finding = WARNED_OF_ON_AWS[fault]
    with plant(aws_ground) as changes:
        code, found = asked(_changed(aws_ground.ecs_plan(), changes), capsys)

    assert code == 0, found
    assert found == {**dict.fromkeys(found, "passed"), finding: "warning"}


def test_at_least_25_faults_are_planted_and_nearly_every_finding_is_shown_by_one() -> None:
    planted = (*LOCAL.values(), *IN_THE_DATABASE.values(), *ON_AWS.values(), *WARNED_OF_ON_AWS.values())
    named = {finding for _, finding in planted}

    assert len(LOCAL) + len(IN_THE_DATABASE) + len(ON_AWS) >= 55
    elsewhere = {"canary", "database", "role-settings"}  # shown in tests/unit/test_preflight.py
    assert set(findings.FINDING_KINDS) - named == elsewhere
