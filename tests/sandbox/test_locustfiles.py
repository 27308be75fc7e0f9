"""The load programs as processes against the real gateway: the rate in Postgres, ids, replay, the start and the end."""

import errno
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from burst.adapters import ingest_client
from burst.control import load_accounts
from burst.domain.basics import errors
from burst.load import failure_kinds, load_account, load_settings, load_shares, send_account, send_schedule
from burst.load.profiles import sender
from burst.sandbox import gateway
from burst.wiring.targets import local_target
from tests import cases, fixtures_postgres, waiting
from tests.sandbox import severing_server, untrusted_servers

API_KEY = "a-key-nobody-may-see"
LOCUSTFILES = Path(__file__).parents[2] / "locustfiles"
LOCUST = (sys.executable, "-m", "locust", "-f", str(LOCUSTFILES / "ingest.py"), "--headless", "--only-summary")
SENDER = (sys.executable, str(LOCUSTFILES / "sender.py"))
# The end takes 0.2 s on a quiet machine. The tests let Locust wait up to 60 s for its users. So a user that cannot be
# ended while it waits for its slot makes a test fail, and a busy machine does not.
PROMPT_SECONDS = 15
START_SECONDS = 40
both_programs = pytest.mark.parametrize("command", [LOCUST, SENDER], ids=["locust", "sender"])

Launch = Callable[..., "subprocess.Popen[str]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One receipt."""

    event_id: str
    decision: str
    at: datetime


# These two live as long as the session: the tests are spread one by one, others between them, and what a fixture of the
# module starts would be started anew for most of them.
@pytest.fixture(scope="session")
def dsn(postgres_template: fixtures_postgres.TemplatedServer) -> str:
    """One database for the tests of this module. Each uses a scope of its own."""
    return postgres_template.server.create_database(template=postgres_template.template)


@pytest.fixture(scope="session")
def running(dsn: str) -> Iterator[gateway.Gateway]:
    """One gateway for the tests of this module."""
    with gateway.start(dsn=dsn, api_key=API_KEY) as gateway_of_module:
        yield gateway_of_module


@pytest.fixture
def scope() -> str:
    """A scope of this test alone."""
    return f"platform_{uuid.uuid4().hex}"


@pytest.fixture
def launch(running: gateway.Gateway, tmp_path: Path) -> Iterator[Launch]:
    """Starts load programs on the module's gateway, and kills them after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: tuple[str, ...], **settings: object) -> subprocess.Popen[str]:
        environment = {load_settings.HOST: running.url, load_settings.API_KEY: API_KEY, "PATH": os.defpath}
        environment |= {name: str(value) for name, value in settings.items()}
        processes.append(
            subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _rows(dsn: str, scope: str) -> list[Row]:
    query = "SELECT event_id, decision, created_at_utc FROM receipts WHERE platform_run_id = %s"
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(query, [scope]).fetchall()
    return [Row(event_id=name, decision=decision, at=datetime.fromisoformat(at)) for name, decision, at in rows]


def _late_seconds(rows: list[Row], *, per_second: float) -> list[float]:
    """The delay of each event's admission against an even schedule that starts with the first event."""
    rows = sorted(rows, key=lambda row: row.event_id)
    first = rows[0].at
    return [(row.at - first).total_seconds() - number / per_second for number, row in enumerate(rows)]


def _wait_for_rows(dsn: str, scope: str, least: int) -> None:
    waiting.until(lambda: len(_rows(dsn, scope)) >= least, seconds=START_SECONDS, what=f"{least} receipts")


def _is_older(file: Path, seconds: float) -> bool:
    return file.exists() and time.time() - file.stat().st_mtime > seconds


def _end(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Sends TERM and waits for the end. Returns the seconds that took, and the program's standard error."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=START_SECONDS)
    return time.monotonic() - began, output


def test_two_shards_together_keep_the_rate_with_ids_of_their_own(
    launch: Launch, dsn: str, scope: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    shards = [
        launch(
            LOCUST, BURST_SCOPE=scope, BURST_SHARD_INDEX=index, BURST_SHARD_COUNT=2, BURST_RATE_PER_MINUTE=6000,
            BURST_GO_FILE=go, BURST_READY_FILE=tmp_path / f"ready{index}",
        )
        for index in range(2)
    ]  # fmt: skip
    ready = [tmp_path / "ready0", tmp_path / "ready1"]
    waiting.until(lambda: all(file.exists() for file in ready), seconds=START_SECONDS, what="both shards ready")
    go.touch()
    _wait_for_rows(dsn, scope, 530)  # more than five seconds of events
    outputs = [_end(shard)[1] for shard in shards]

    rows = _rows(dsn, scope)
    latest_seconds = max(float(text.split("the latest ")[1].split(" ms")[0]) for text in outputs) / 1000
    for index in range(2):
        late = _late_seconds([row for row in rows if row.event_id.startswith(f"{scope}:{index:04d}:")], per_second=50)
        # In five seconds the schedule drifts by a twentieth of them at most, plus the lateness that the program
        # reports. The least delay counts, because single events may be held up on their way.
        assert min(late[200:250]) - min(late[:50]) == pytest.approx(0, abs=0.05 * 5 + latest_seconds)
    assert {row.decision for row in rows} == {"ADMIT"}
    assert len({row.event_id for row in rows}) == len(rows)
    for index in range(2):
        ids = sorted(row.event_id for row in rows if row.event_id.startswith(f"{scope}:{index:04d}:"))
        assert ids == [f"{scope}:{index:04d}:{sequence:012d}" for sequence in range(len(ids))]
    assert all("at 50/s asked" in text for text in outputs)


@both_programs
def test_it_says_ready_and_sends_nothing_before_go(
    launch: Launch, dsn: str, scope: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    go, ready = tmp_path / "go", tmp_path / "ready"
    launch(command, BURST_SCOPE=scope, BURST_RATE_PER_MINUTE=60000, BURST_GO_FILE=go, BURST_READY_FILE=ready)
    waiting.until(lambda: _is_older(ready, 0.2), seconds=START_SECONDS, what="time for 200 events at this rate")
    before = _rows(dsn, scope)
    go.touch()

    _wait_for_rows(dsn, scope, 10)
    assert before == []


@both_programs
def test_the_source_caps_what_is_sent_and_a_replay_of_it_only_makes_duplicates(
    launch: Launch, dsn: str, scope: str, command: tuple[str, ...]
) -> None:
    common = {"BURST_SCOPE": scope, "BURST_SHARD_COUNT": 2, "BURST_RATE_PER_MINUTE": 12000, "BURST_SOURCE_EVENTS": 25}
    for profile, rows_then in (("steady", 25), ("replay", 50)):
        shards = [launch(command, BURST_SHARD_INDEX=index, BURST_PROFILE=profile, **common) for index in range(2)]
        _wait_for_rows(dsn, scope, rows_then)
        idle = [shard.poll() for shard in shards]
        outputs = [_end(shard)[1] for shard in shards]

        assert idle == [None, None]
        assert ["sent 13 events" in outputs[0], "sent 12 events" in outputs[1]] == [True, True]
    decisions = [row.decision for row in _rows(dsn, scope)]
    assert (decisions.count("ADMIT"), decisions.count("DUPLICATE"), len(decisions)) == (25, 25, 50)


@both_programs
def test_it_ends_promptly_when_asked_and_never_shows_the_key(
    launch: Launch, dsn: str, scope: str, command: tuple[str, ...]
) -> None:
    patient = ("--stop-timeout", "60") if command is LOCUST else ()
    process = launch((*command, *patient), BURST_SCOPE=scope, BURST_RATE_PER_MINUTE=1)
    _wait_for_rows(dsn, scope, 1)

    seconds, output = _end(process)

    assert seconds < PROMPT_SECONDS
    assert process.returncode == 0
    assert "sent 1 events at 0.0166667/s asked" in output
    assert API_KEY not in output


def test_it_ends_promptly_while_it_still_waits_for_go(launch: Launch, tmp_path: Path) -> None:
    command = (*LOCUST, "--stop-timeout", "60")
    process = launch(command, BURST_GO_FILE=tmp_path / "never", BURST_READY_FILE=tmp_path / "ready")
    waiting.until((tmp_path / "ready").exists, seconds=START_SECONDS, what="the program to be ready")

    seconds, output = _end(process)

    assert seconds < PROMPT_SECONDS
    assert "nothing was sent" in output


def test_it_runs_as_a_plain_locustfile_with_options(
    launch: Launch, running: gateway.Gateway, dsn: str, scope: str
) -> None:
    script = Path(sys.executable).with_name("locust")
    command = (str(script), "-f", str(LOCUSTFILES / "ingest.py"), "--headless", "-H", running.url)
    process = launch((*command, "--burst-scope", scope, "--burst-rate", "3000"), BURST_HOST="")
    _wait_for_rows(dsn, scope, 20)

    _, output = _end(process)

    assert process.returncode == 0, output
    assert "at 50/s asked" in output


def test_locust_finds_the_user_in_a_clone_where_burst_is_not_installed(tmp_path: Path) -> None:
    code, words = _run_without_burst(
        tmp_path, "from locust import main; main.main()", "-f", str(LOCUSTFILES / "ingest.py"), "--list"
    )

    assert code == 0, words
    assert "IngestUser" in words


def test_the_sender_starts_from_a_clone_where_burst_is_not_installed(tmp_path: Path) -> None:
    sender = str(LOCUSTFILES / "sender.py")

    code, words = _run_without_burst(tmp_path, f"import runpy; runpy.run_path({sender!r}, run_name='__main__')")

    assert code == 2, words
    assert "BURST_HOST must be the ingest's base" in words


def _run_without_burst(folder: Path, script: str, *arguments: str) -> tuple[int, str]:
    """Run a script in a Python that has every package but burst; its exit code and its words."""
    script = f"import sys; sys.path.remove({str(LOCUSTFILES.parent)!r}); {script}"
    answer = subprocess.run(
        [sys.executable, "-I", "-c", script, *arguments],
        cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=START_SECONDS, check=False,
    )  # fmt: skip
    return answer.returncode, answer.stdout + answer.stderr


@both_programs
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"IG_API_KEY": ""}, "IG_API_KEY is not set"),
        ({"IG_API_KEY": "REPLACE_ME_s3cret"}, "IG_API_KEY holds a placeholder"),
        ({"BURST_HOST": ""}, "BURST_HOST"),
        ({"BURST_RATE_PER_MINUTE": "fast"}, "BURST_RATE_PER_MINUTE is 'fast'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_bad_setting_ends_it_before_anything_is_sent(
    launch: Launch, dsn: str, scope: str, command: tuple[str, ...], settings: dict[str, str], message: str
) -> None:
    process = launch(command, **{"BURST_SCOPE": scope} | settings)

    _, output = process.communicate(timeout=START_SECONDS)

    assert process.returncode == 2
    assert message in output
    assert "s3cret" not in output
    assert _rows(dsn, scope) == []


@both_programs
def test_the_key_does_not_follow_a_redirect(launch: Launch, command: tuple[str, ...]) -> None:
    with untrusted_servers.serve_plain() as elsewhere:
        with untrusted_servers.serve_plain(f"http://127.0.0.1:{elsewhere.server_port}/v1/ingest/push") as redirecting:
            launch(command, BURST_HOST=f"http://127.0.0.1:{redirecting.server_port}", BURST_RATE_PER_MINUTE=1200)
            waiting.until(lambda: len(redirecting.keys) >= 3, seconds=START_SECONDS, what="three events")

        assert set(redirecting.keys) == {API_KEY}
        assert elsewhere.connections == 0


@both_programs
def test_the_key_is_not_sent_to_a_host_with_a_self_signed_certificate(
    launch: Launch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    account_file = tmp_path / "load.account.jsonl"
    counting = (sys.executable, "-m", "burst.load.locust_start", *LOCUST[3:]) if command is LOCUST else command
    reader = load_account.AccountReader(str(account_file))
    with untrusted_servers.serve_self_signed(tmp_path) as stranger:
        url = f"https://127.0.0.1:{stranger.server_port}"
        launch(counting, BURST_HOST=url, BURST_RATE_PER_MINUTE=1200, BURST_ACCOUNT_FILE=account_file)
        waiting.until(lambda: stranger.connections >= 3, seconds=START_SECONDS, what="three attempts")
        waiting.until(lambda: reader.read() and reader.account.failed, seconds=START_SECONDS, what="a failure")
        with pytest.raises(errors.Unavailable, match="SSLCertVerificationError"):
            ingest_client.Ingest(url).push(b"{}", API_KEY)  # the canary agrees

    assert set(reader.account.failed) == {"certificate not trusted"}
    assert stranger.keys == []


@both_programs
def test_it_trusts_a_certificate_in_the_folder_of_the_system_as_the_canary_does(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    with untrusted_servers.serve_self_signed(tmp_path) as host:
        url, folder = f"https://127.0.0.1:{host.server_port}", str(untrusted_servers.trust_certificate(tmp_path))
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", folder)
        canary = ingest_client.Ingest(url).push(b"{}", API_KEY)
        launch(command, BURST_HOST=url, BURST_RATE_PER_MINUTE=1200, SSL_CERT_DIR=folder)
        waiting.until(lambda: len(host.keys) >= 4, seconds=START_SECONDS, what="three events of the load")

    assert canary.status == 200


def test_settings_of_a_folder_change_nothing_that_burst_starts(tmp_path: Path) -> None:
    locustfile = tmp_path / "shop.py"
    locustfile.write_text("import locust\n\n\nclass Shopper(locust.User):\n    pass\n")
    (tmp_path / "locust.conf").write_text("csv-full-history = true\n")
    (tmp_path / ".locust.conf").write_text("csv-full-history = true\n")
    (tmp_path / "pyproject.toml").write_text("[tool.locust]\ncsv-full-history = true\n")

    def list_users(module: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, "-f", str(locustfile), "--list"],
            cwd=tmp_path, env={"PATH": os.defpath, "HOME": str(tmp_path)}, capture_output=True, text=True,
            timeout=START_SECONDS, check=False,
        )  # fmt: skip

    plain, started = list_users("locust"), list_users("burst.load.locust_start")

    assert plain.returncode != 0  # so a setting of the folder would be seen
    assert (started.returncode, "Shopper" in started.stdout) == (0, True), started.stderr


def test_another_file_under_the_path_of_bursts_own_profile_is_refused_because_it_would_not_wait(tmp_path: Path) -> None:
    locustfile = tmp_path / "locustfiles" / "ingest.py"
    locustfile.parent.mkdir()
    locustfile.write_text("import locust\n\n\nclass Shopper(locust.User):\n    pass\n")
    load = {"locustfile": str(locustfile), "host": "http://127.0.0.1:1", "rate": 600}

    with pytest.raises(errors.Refused, match="does not wait for GO"):
        local_target.describe_program(cases.plan(load=load))
    assert "Shopper" in local_target.describe_program(cases.plan(load=load | {"waits_for_go": True}))
    load["locustfile"] = str(LOCUSTFILES / "ingest.py")
    assert "IngestUser" in local_target.describe_program(cases.plan(load=load))


def test_senders_follow_the_time_that_answers_take(launch: Launch, tmp_path: Path) -> None:
    account_file = tmp_path / "load.account.jsonl"
    command = (sys.executable, "-m", "burst.load.locust_start", *LOCUST[3:], "-u", "4", "-r", "4")
    with untrusted_servers.serve_plain(delay_seconds=0.5) as slow:
        url = f"http://127.0.0.1:{slow.server_port}"
        # Forty a second at half a second each are 20 on their way: four senders alone would send eight a second.
        process = launch(command, BURST_HOST=url, BURST_RATE_PER_MINUTE=2400, BURST_ACCOUNT_FILE=account_file)
        waiting.until(lambda: len(slow.keys) >= 300, seconds=START_SECONDS, what="300 events")
        _end(process)

    reader = load_account.AccountReader(str(account_file))
    reader.read()
    account = reader.account
    due, in_time = (sum(counts[what] for counts in account.seconds.values()) for what in ("due", "in_time"))
    # Four senders would send a fifth in time; a busy machine may cost some of the rest.
    assert in_time > 0.6 * due, account.latest_seconds
    assert account.bad_lines == 0


@pytest.mark.parametrize("program", ["burst.load.locust_start", "sender"])
def test_an_event_whose_connection_breaks_is_sent_once_and_counted_as_failed(
    launch: Launch, tmp_path: Path, program: str
) -> None:
    """A client that sent it again would make two events of one, where the ingest had taken the first."""
    account_file = tmp_path / "load.account.jsonl"
    locust = (sys.executable, "-m", program, *LOCUST[3:], "-u", "2", "-r", "2")
    reader = load_account.AccountReader(str(account_file))

    def count_outcomes() -> dict[str, int]:
        reader.read()
        outcomes = ("sent", "acknowledged", "refused", "failed")
        return {what: sum(counts[what] for counts in reader.account.seconds.values()) for what in outcomes}

    with severing_server.serve() as severing:
        launch(
            SENDER if program == "sender" else locust,
            BURST_HOST=f"http://127.0.0.1:{severing.port}", BURST_RATE_PER_MINUTE=1200, BURST_SOURCE_EVENTS=24,
            BURST_SCOPE="s", BURST_ACCOUNT_FILE=account_file,
        )  # fmt: skip
        waiting.until(
            lambda: count_outcomes()["acknowledged"] + count_outcomes()["failed"] >= 24,
            seconds=START_SECONDS,
            what="an end of each event",
        )

    assert sorted(severing.arrived) == [f"s:0000:{sequence:012d}" for sequence in range(24)]
    severed = len(severing.read_and_severed) + len(severing.unread_and_severed)
    assert count_outcomes() == {"sent": 24, "acknowledged": 24 - severed, "refused": 0, "failed": severed}
    assert min(len(severing.read_and_severed), len(severing.unread_and_severed)) >= 3


def test_events_for_which_the_machine_has_no_socket_are_counted_by_their_kind_and_were_not_sent(
    launch: Launch, tmp_path: Path
) -> None:
    account_file = tmp_path / "load.account.jsonl"
    words = (sys.executable, "-m", "burst.load.locust_start", *LOCUST[3:], "-u", "60", "-r", "60")
    few_files = ("sh", "-c", 'ulimit -n 30; exec "$@"', "sh", *words)
    with untrusted_servers.serve_plain(delay_seconds=2.0) as slow:
        url = f"http://127.0.0.1:{slow.server_port}"
        launch(few_files, BURST_HOST=url, BURST_RATE_PER_MINUTE=6000, BURST_ACCOUNT_FILE=account_file)
        reader = load_account.AccountReader(str(account_file))
        kind = f"EMFILE {os.strerror(errno.EMFILE)}"
        waiting.until(lambda: reader.read() and reader.account.failed[kind], seconds=START_SECONDS, what="a failure")

    account = reader.account
    document = load_accounts.build_document({0: account}, execution_id="x", scope="s")
    assert document is not None
    assert document.sent <= sum(counts["sent"] for counts in account.seconds.values()) - account.failed[kind]


def wrap(cause: Exception) -> Exception:
    """A client's own failure around the cause, as `requests` makes them."""
    return ConnectionError(RuntimeError("at the address of an object", cause))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (OSError(errno.EMFILE, "x"), f"EMFILE {os.strerror(errno.EMFILE)}"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), f"ECONNREFUSED {os.strerror(errno.ECONNREFUSED)}"),
        (socket.gaierror(-2, "x"), "name not resolved"),
        (TimeoutError("x"), "timeout"),
        (ssl.SSLCertVerificationError("x"), "certificate not trusted"),
        (wrap(ssl.SSLError("around", ssl.SSLCertVerificationError("x"))), "certificate not trusted"),
        (wrap(ssl.SSLEOFError("x")), "tls"),
        (http.client.RemoteDisconnected("x"), "RemoteDisconnected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_both_programs_name_a_failure_alike(failure: Exception, kind: str) -> None:
    assert failure_kinds.name_failure(failure) == kind


def test_the_sender_counts_a_failure_by_its_kind() -> None:
    tally = load_account.AccountWriter(None)
    closed = sender.Sender("http://127.0.0.1:1", "key")

    assert not sender.push_event(closed, "{}", tally)
    assert tally.pending.failed == {f"ECONNREFUSED {os.strerror(errno.ECONNREFUSED)}": 1}


def test_a_client_that_sends_an_event_again_is_refused_before_anything_is_sent(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "geventhttpclient-2.5.1.dist-info").mkdir()
    (tmp_path / "geventhttpclient-2.5.1.dist-info" / "METADATA").write_text("Name: geventhttpclient\nVersion: 2.5.1\n")
    playback = (*LOCUST[:4], str(LOCUSTFILES / "playback.py"), "--headless")
    process = launch(playback, PYTHONPATH=tmp_path)

    _, output = process.communicate(timeout=START_SECONDS)

    assert process.returncode != 0
    assert "geventhttpclient 2.5.1 sends an event again" in output.strip().splitlines()[-1]
    assert "install 2.6 or newer" in output


def test_a_worker_that_its_master_did_not_expect_is_refused_because_the_others_send_the_whole_share() -> None:
    script = """
import types
from burst.load import load_settings, locust_schedule
from locust import argument_parser, runners

options = argument_parser.get_parser().parse_args(["--expect-workers", "2"])
for index in (0, 1, 2):
    worker = object.__new__(runners.WorkerRunner)
    worker.worker_index = index
    try:
        own = locust_schedule._read_own(types.SimpleNamespace(parsed_options=options, runner=worker))
        print(own["BURST_SHARD_INDEX"], own["BURST_SHARD_COUNT"])
    except load_settings.SettingError as exc:
        print(exc)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=LOCUSTFILES.parent, capture_output=True, text=True, check=False
    )

    assert answer.stdout.splitlines() == [
        "0 2",
        "1 2",
        "worker 3 of 2: say --expect-workers to every worker too",
    ], answer.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"BURST_SHARD_INDEX": "2", "BURST_SHARD_COUNT": "2"}, "must be under BURST_SHARD_COUNT"),
        ({"BURST_SHARD_INDEX": "-1"}, "whole number of at least 0"),
        ({"BURST_SHARD_COUNT": "0"}, "whole number of at least 1"),
        ({"BURST_SHARD_COUNT": "1.5"}, "whole number"),
        ({"BURST_RATE_PER_MINUTE": "0"}, "a number over 0"),
        ({"BURST_RATE_PER_MINUTE": "inf"}, "a number over 0"),
        ({"BURST_RATE_PER_MINUTE": "-60"}, "a number over 0"),
        ({"BURST_PROFILE": "spiky"}, "steady or replay"),
        ({"BURST_PROFILE": "replay"}, "BURST_SOURCE_EVENTS must say"),
        ({"BURST_SOURCE_EVENTS": "many"}, "whole number"),
    ],
    ids=str,
)
def test_a_bad_share_is_named_with_what_is_allowed(settings: dict[str, str], message: str) -> None:
    with pytest.raises(load_settings.SettingError, match=message):
        load_shares.read_share(settings)


@pytest.mark.parametrize(("events", "shards"), [(0, 3), (1, 3), (20000, 8), (7, 7), (25, 2)])
def test_the_shares_of_a_source_add_up_to_it(events: int, shards: int) -> None:
    common = {"BURST_SHARD_COUNT": str(shards), "BURST_SOURCE_EVENTS": str(events)}

    shares = [load_shares.read_share(common | {"BURST_SHARD_INDEX": str(index)}).event_count for index in range(shards)]

    assert sum(share or 0 for share in shares) == events
    assert max(share or 0 for share in shares) - min(share or 0 for share in shares) <= 1


def test_the_account_says_how_late_the_slots_of_a_schedule_were_used() -> None:
    share = load_shares.read_share({"BURST_RATE_PER_MINUTE": "600", "BURST_SOURCE_EVENTS": "3"})
    schedule, account = send_schedule.SendSchedule(share, started=100.0), send_account.SendAccount(share)

    slots = [schedule.take_slot() for _ in range(4)]
    for slot, now in zip(slots, (100.0, 100.5, 100.21), strict=False):
        assert slot is not None
        account.record(slot, now)

    assert [slot and slot.due for slot in slots] == [100.0, 100.1, 100.2, None]
    assert account.summarize() == "sent 3 events at 10/s asked; 1 were over 100 ms late, the latest 400 ms"


def test_a_locustfile_that_cannot_be_imported_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import locust\n\ndef (\n")
    load = {"locustfile": str(tmp_path / "shop.py"), "host": "http://127.0.0.1:1"}

    with pytest.raises(errors.Refused, match=r'SyntaxError: invalid syntax \(File ".*shop.py", line 3\)'):
        local_target.describe_program(cases.plan(load=load))
