"""`burst count` as a process, on a real Postgres and on a database that never answers."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

SCOPE = "platform_20260219T234150Z"
WINDOW = ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:02:00Z", "--scope", SCOPE]
ROWS = [
    ("ADMIT", "2026-02-21T02:00:00+00:00", SCOPE),
    ("ADMIT", "2026-02-21T02:00:59.999999+00:00", SCOPE),
    ("DUPLICATE", "2026-02-21T02:01:00Z", SCOPE),
    ("ADMIT", "2026-02-21T02:02:00+00:00", SCOPE),
    ("ADMIT", "2026-02-21T02:01:00+00:00", "another"),
]


def count(*words: str, dsn: str, environment: str | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "burst", "count", "--dsn", dsn, *WINDOW, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BURST_TEST_DSN": environment or ""},
    )


@pytest.fixture
def receipts_dsn(database_dsn: str) -> str:
    with psycopg.connect(database_dsn) as connection:
        connection.cursor().executemany(
            "insert into receipts (decision, created_at_utc, platform_run_id, receipt_id) values (%s, %s, %s, %s)",
            [(*row, str(index)) for index, row in enumerate(ROWS)],
        )
    return database_dsn


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A listener that lets clients connect and never answers them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def test_a_window_is_counted_by_scope_and_bucket(receipts_dsn: str) -> None:
    asked = count("--json", dsn="env:BURST_TEST_DSN", environment=receipts_dsn)
    out, err = asked.communicate(timeout=30)
    answer = json.loads(out)

    assert (asked.returncode, err) == (0, "")
    assert answer["counts"] == {"ADMIT": 2, "DUPLICATE": 1, "QUARANTINE": 0, "other": 0}
    assert [bucket["counts"]["ADMIT"] for bucket in answer["buckets"]] == [2, 0]
    assert answer["admits_per_minute"] == 1.0
    assert answer["settled"] is True


def test_a_dsn_in_a_file_works_and_the_answer_reads_well(receipts_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(receipts_dsn + "\n")

    asked = count(dsn=f"file:{tmp_path / 'dsn'}")
    out, _ = asked.communicate(timeout=30)

    assert asked.returncode == 0
    assert "ADMIT 2, DUPLICATE 1, QUARANTINE 0, other 0" in out
    assert "admit ratio 0.6666666666666666" in out


def test_an_interrupted_count_exits_130_without_a_traceback(deaf: socket.socket) -> None:
    asked = count(dsn=f"postgresql://burst:hunter2@127.0.0.1:{deaf.getsockname()[1]}/ig")
    client, _ = deaf.accept()
    with client:
        asked.send_signal(signal.SIGINT)
        out, err = asked.communicate(timeout=30)

    assert (asked.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "hunter2" not in err
