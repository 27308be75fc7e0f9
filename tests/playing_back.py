"""A playback in shards against the real gateway: shards that are killed, runs that go on, and what Postgres says of it.

A trigger notes every delivery that the gateway decides, because receipts keep each decision on an event only once.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from burst.load import load_account, load_settings
from burst.load.playback import checkpoint_tables, playback_settings, progress, records
from tests import waiting

API_KEY = "a-key-nobody-may-see"
DSN_VARIABLE = "WSP_CHECKPOINT_DSN"
ROOT = Path(__file__).parents[1]
MIGRATION = ROOT / checkpoint_tables.MIGRATION
LOCUSTFILE = ROOT / "locustfiles" / "playback.py"
START_SECONDS = 180.0
_DELIVERIES = """
CREATE TABLE deliveries (number bigserial PRIMARY KEY, event_id text, scope text);
CREATE FUNCTION note_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (event_id, scope) VALUES (new.event_id, new.platform_run_id);
    RETURN new;
END $$;
CREATE TRIGGER noted BEFORE INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION note_delivery();
"""
_OUT_OF_ORDER = """
WITH firsts AS (
    SELECT split_part(event_id, '/', 1) AS key, split_part(event_id, '/', 2)::bigint AS place, min(number) AS number
    FROM deliveries WHERE scope = %s GROUP BY event_id
), pairs AS (
    SELECT place, coalesce(lag(place) OVER (PARTITION BY key ORDER BY number), -1) AS earlier FROM firsts
)
SELECT count(*) FROM pairs WHERE place <> earlier + 1
"""
_AGAIN = """
SELECT count(*) FROM deliveries JOIN unnest(%s::text[]) AS kept (event_id) USING (event_id)
WHERE scope = %s AND number > %s
"""


def _ends(process: "subprocess.Popen[str]") -> bool:
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def write_recording(place: Path, *, events: int, keys: int, seed: int = 1) -> list[str]:
    """A recording of so many events over keys of unlike weight; returns the ids in recorded order. An id says its key
    and its place among those of the key."""
    luck, places, ids = random.Random(seed), dict[str, int](), list[str]()
    with place.open("w", encoding="utf-8") as file:
        for number in range(events):
            key = f"счёт-{min(luck.randrange(keys), luck.randrange(keys))}"
            places[key] = places.get(key, -1) + 1
            ids.append(f"{key}/{places[key]}")
            event = {
                "event_id": ids[-1], "event_type": "recorded", "platform_run_id": "recorded",
                "payload": {"account": key}, "at": 1.7e9 + number / 100,
            }  # fmt: skip
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    return ids


def prepare_receipts(dsn: str) -> None:
    """Note deliveries beside the gateway's own tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_DELIVERIES)


def prepare_checkpoints(dsn: str) -> None:
    """Apply the migration of the checkpoints."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(MIGRATION.read_bytes())


@dataclass(kw_only=True)
class Stage:
    """A recording, a gateway with its receipts, and a database of checkpoints; runs of one scope are played on it."""

    folder: Path
    ids: list[str]
    host: str
    receipts_dsn: str
    checkpoint_dsn: str
    scope: str
    shards: int = 4
    rate: str = "1000/s"
    checkpoint: str = f"env:{DSN_VARIABLE}"
    settings: Mapping[str, object] = field(default_factory=dict)
    locustfile: Path = LOCUSTFILE
    run: int = 0
    members: list[list[str]] = field(init=False)
    """The ids of each shard, in recorded order: the place in the list is the record's ordinal."""

    def __post_init__(self) -> None:
        self.members = [[] for _ in range(self.shards)]
        for event_id in self.ids:
            self.members[records.choose_shard(event_id.rpartition("/")[0], self.shards)].append(event_id)

    @property
    def recording(self) -> Path:
        """Where the recording is."""
        return self.folder / "recording.jsonl"

    @contextmanager
    def play(self, **more: object) -> Iterator[list[subprocess.Popen[str]]]:
        """One run: every shard as a process of its own, ended with the block."""
        self.run += 1
        go = self.folder / f"{self.scope}-go{self.run}"
        ready = [self.folder / f"{self.scope}-ready{self.run}-{index}" for index in range(self.shards)]
        processes = [self._start(index, go, ready[index], more) for index in range(self.shards)]
        try:
            waiting.until(lambda: self._are_ready(processes, ready), seconds=START_SECONDS, what="every shard ready")
            go.touch()
            yield processes
        finally:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            late = [index for index, process in enumerate(processes) if not _ends(process)]
            for process in processes:
                process.kill()
                process.wait()
            assert not late, f"did not end after TERM: {[self.read_log(index) for index in late]}"

    def _are_ready(self, processes: list["subprocess.Popen[str]"], ready: list[Path]) -> bool:
        for index, process in enumerate(processes):
            assert process.poll() is None, self.read_log(index)
        return all(file.exists() for file in ready)

    def _start(self, index: int, go: Path, ready: Path, more: Mapping[str, object]) -> "subprocess.Popen[str]":
        template = {"platform_run_id": "{scope}", "payload.sent": "{sent_at}"}
        settings = {
            "source": str(self.recording), "key": "payload.account", "template": template,
            "checkpoint": self.checkpoint, "continues": self.run > 1, **self.settings, **more,
        }  # fmt: skip
        environment = {
            "PATH": os.defpath, "PYTHONPATH": str(ROOT), DSN_VARIABLE: self.checkpoint_dsn,
            load_settings.HOST: self.host, load_settings.API_KEY: API_KEY, load_settings.SCOPE: self.scope,
            load_settings.SHARD_INDEX: str(index), load_settings.SHARD_COUNT: str(self.shards),
            load_settings.RATE_PER_MINUTE: self.rate, load_settings.GO_FILE: str(go),
            load_settings.READY_FILE: str(ready), playback_settings.EXECUTION_ID: f"run-{self.run}",
            playback_settings.PLAYBACK: json.dumps(settings), load_account.ACCOUNT_FILE: str(self.place_account(index)),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "burst.load.locust_start", "-f", str(self.locustfile), "--headless", "--only-summary",
            "--stop-timeout", "1", "--exit-code-on-error", "0",
        ]  # fmt: skip
        with self.place_log(index).open("w") as log:
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log, text=True)

    def place_account(self, index: int) -> Path:
        """The account of one shard of the run."""
        return self.folder / f"{self.scope}-account{self.run}-{index}"

    def place_log(self, index: int) -> Path:
        """The log of one shard of the run."""
        return self.folder / f"{self.scope}-log{self.run}-{index}"

    def read_log(self, index: int) -> str:
        """What one shard of the run logged."""
        return self.place_log(index).read_text()

    def read_account(self, index: int) -> load_account.LoadAccount:
        """What one shard of the run counted."""
        reader = load_account.AccountReader(str(self.place_account(index)))
        reader.read()
        return reader.account

    # What Postgres says

    def count_admitted(self) -> int:
        """How many events have an ADMIT."""
        return self._ask("SELECT count(*) FROM receipts WHERE platform_run_id = %s AND decision = 'ADMIT'", self.scope)

    def count_deliveries(self) -> int:
        """How many times an event was delivered."""
        return self._ask("SELECT count(*) FROM deliveries WHERE scope = %s", self.scope)

    def count_out_of_order(self) -> int:
        """How many events came first while the one before them of their key had not come."""
        return self._ask(_OUT_OF_ORDER, self.scope)

    def find_last_delivery(self) -> int:
        """The number of the last delivery so far."""
        return self._ask("SELECT coalesce(max(number), 0) FROM deliveries WHERE scope = %s", self.scope)

    def list_kept(self) -> list[str]:
        """The ids that the checkpoints hold as acknowledged."""
        with psycopg.connect(self.checkpoint_dsn) as connection:
            rows = connection.execute(
                "SELECT output_id, low_water, beyond FROM wsp_checkpoint WHERE pack_key = %s", [self.scope]
            ).fetchall()
        kept = []
        for output, low_water, beyond in rows:
            members = self.members[int(output.partition("-")[0])]
            kept += members[:low_water]
            for start, end in progress.read_beyond(beyond):
                kept += members[start:end]
        return kept

    def count_sent_again(self, since: int, ids: list[str]) -> int:
        """How many deliveries after a number were of these events."""
        return self._ask(_AGAIN, ids, self.scope, since)

    def _ask(self, query: str, *values: object) -> int:
        with psycopg.connect(self.receipts_dsn) as connection:
            row = connection.execute(query, values).fetchone()
        return int(row[0]) if row else 0
