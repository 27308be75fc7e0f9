"""`burst count` as a process, on a real Postgres and on a database that never answers."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from burst.domain.basics import canonical, instants, windows
from burst.domain.documents import chunks, models, questions, task_answers, window_metrics
from tests import waiting

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
        listener.settimeout(60)
        yield listener


def test_a_window_is_counted_by_scope_and_bucket(receipts_dsn: str) -> None:
    asked = count("--json", dsn="env:BURST_TEST_DSN", environment=receipts_dsn)
    out, err = asked.communicate(timeout=waiting.PROCESS_SECONDS)
    answer = json.loads(out)

    assert (asked.returncode, err) == (0, "")
    assert answer["counts"] == {"ADMIT": 2, "DUPLICATE": 1, "QUARANTINE": 0, "other": 0}
    assert [bucket["counts"]["ADMIT"] for bucket in answer["buckets"]] == [2, 0]
    assert answer["admits_per_minute"] == 1.0
    assert answer["settled"] is True


def test_a_dsn_in_a_file_works_and_the_answer_reads_well(receipts_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(receipts_dsn + "\n")

    asked = count(dsn=f"file:{tmp_path / 'dsn'}")
    out, _ = asked.communicate(timeout=waiting.PROCESS_SECONDS)

    assert asked.returncode == 0
    assert "ADMIT 2, DUPLICATE 1, QUARANTINE 0, other 0" in out
    assert "admit ratio 0.6666666666666666" in out


def test_an_interrupted_count_exits_130_without_a_traceback(deaf: socket.socket) -> None:
    asked = count(dsn=f"postgresql://burst:hunter2@127.0.0.1:{deaf.getsockname()[1]}/ig")
    client, _ = deaf.accept()
    with client:
        asked.send_signal(signal.SIGINT)
        out, err = asked.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (asked.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "hunter2" not in err


def now() -> datetime:
    return datetime.now(UTC)


def insert(dsn: str, at: datetime, receipt_id: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id, receipt_id) values ('ADMIT', %s, %s, %s)",
            (at.isoformat(), SCOPE, receipt_id),
        )


def burst_count(*words: str, dsn: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "burst", "count", "--dsn", "env:BURST_TEST_DSN", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BURST_TEST_DSN": dsn},
    )


def test_a_burst_is_followed_in_slices_that_add_up_to_the_whole(receipts_dsn: str) -> None:
    start = now()
    until = instants.later(start, 3)
    words = ("--from", instants.text(start), "--until", instants.text(until), "--scope", SCOPE, "--every", "200ms")
    for index in range(9):
        insert(receipts_dsn, instants.later(start, index * 3 / 8), f"followed-{index}")

    followed = burst_count(*words, "--follow", "--json", dsn=receipts_dsn)
    out, err = followed.communicate(timeout=waiting.PROCESS_SECONDS)
    slices = [json.loads(line) for line in out.splitlines()]

    assert (followed.returncode, err) == (0, "")
    edges = [instants.text(start), *(each["window"]["end_utc"] for each in slices)]
    assert edges[:-1] == [each["window"]["start_utc"] for each in slices]
    assert edges[-1] == instants.text(until)
    assert sum(each["counts"]["ADMIT"] for each in slices) == slices[-1]["total"]["ADMIT"] == 8


def test_a_burst_that_is_over_is_followed_in_one_slice_that_is_the_whole(receipts_dsn: str) -> None:
    start = instants.later(now(), -60)
    until = instants.text(instants.later(start, 4))
    for index in range(5):
        insert(receipts_dsn, instants.later(start, index), f"followed-{index}")

    words = ("--from", instants.text(start), "--until", until, "--scope", SCOPE, "--follow", "--json")
    followed = burst_count(*words, dsn=receipts_dsn)
    out, err = followed.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (followed.returncode, err) == (0, "")
    assert json.loads(out)["window"] == {"start_utc": instants.text(start), "end_utc": until}
    assert json.loads(out)["total"]["ADMIT"] == 4


def test_questions_are_answered_the_same_in_the_log_and_beside_them_until_the_session_is_over(
    receipts_dsn: str, tmp_path: Path
) -> None:
    place = tmp_path / "count-001"
    place.mkdir()
    window = windows.Window(instants.parse(WINDOW[1]), instants.parse(WINDOW[3]))
    entry = window_metrics.WindowEntry.from_window(window)
    ask = questions.CountQuestion(window=entry, scope=SCOPE, bucket_seconds=60)
    question = questions.QuestionDocument(session="count-001", number=1, patience_seconds=20, ask=ask).content()
    (place / questions.question_name(1)).write_bytes(question)
    (place / questions.END).write_bytes(b"{}")

    served = burst_count("--serve", str(place), "--until", instants.text(instants.later(now(), 60)), dsn=receipts_dsn)
    out, err = served.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (served.returncode, err) == (0, "questions answered: 1\n")
    stored = (place / questions.answer_name(1)).read_bytes()
    assert chunks.Heard().hear(out.splitlines()).document("count-001-answer_0001") == stored
    answer = models.read(task_answers.AnswerDocument, stored)
    assert answer.question_sha256 == canonical.digest(question)
    assert isinstance(answer.told, task_answers.CountAnswer)
    assert (answer.told.counts.admit, answer.told.counts.duplicate) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--follow", "--serve", "s3://bucket/x"), "either --follow or --serve"),
        (("--follow", "--from", "2026-02-21T02:00:00Z"), "'--until'"),
        (("--serve", "s3://bucket/x"), "'--until'"),
        (("--to", "2026-02-21T02:00:00Z"), "'--from'"),
        (("--follow", "--every", "0s"), "--every"),
        (("--follow", "--from", "2026-02-21T02:00:00Z", "--until", "2026-02-21T02:00:00Z"), "--from and --until"),
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(words: tuple[str, ...], said: str) -> None:
    asked = burst_count(*words, dsn="postgresql://nobody@127.0.0.1:1/none")
    _, err = asked.communicate(timeout=waiting.PROCESS_SECONDS)

    assert asked.returncode == 2
    assert said in err
