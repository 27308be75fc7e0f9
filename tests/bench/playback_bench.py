"""Playback of 200,000 events over 4 shards: ten runs in each of which a random shard is killed, and three without a
database of checkpoints for ten seconds in which one is. Each run goes on where the last one was; Postgres tells what
was delivered, in which order, and what was sent again that a checkpoint held.
"""

import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from burst.sandbox import embedded_postgres, gateway
from tests import playing_back, waiting

EVENTS, KEYS, SHARDS = 200_000, 4_000, 4
KILLS, OUTAGES = 10, 3
OUTAGE_SECONDS = 10.0
RATE = "1200/s"
PARTS = (KILLED, AWAY) = ("killed", "without-database")
_PATIENCE_SECONDS = 600.0
_OTHERS_SECONDS = 10.0
"""How long the shards that were not killed go on, at most."""


def _kill_one(stage: playing_back.Stage, until_admitted: int, luck: random.Random) -> None:
    """One run: a random shard is killed at a random instant; the others go on until so many are admitted."""
    begun = stage.count_admitted()
    with stage.play() as shards:
        kill_at = begun + luck.randrange(1, max(2, until_admitted - begun))
        _wait_for(stage, kill_at)
        luck.choice(shards).send_signal(signal.SIGKILL)
        reached = time.monotonic() + _OTHERS_SECONDS
        while stage.count_admitted() < until_admitted and time.monotonic() < reached:
            time.sleep(0.2)


def _lose_database(stage: playing_back.Stage, server: embedded_postgres.PostgresServer, luck: random.Random) -> float:
    """One run: the database of the checkpoints is gone for ten seconds, and a random shard is killed in them."""
    with stage.play() as shards:
        _wait_for(stage, stage.count_admitted() + 2000)
        server.stop_server()
        gone_at = time.monotonic()
        time.sleep(luck.uniform(1.0, OUTAGE_SECONDS - 1.0))
        luck.choice(shards).send_signal(signal.SIGKILL)
        time.sleep(max(0.0, gone_at + OUTAGE_SECONDS - time.monotonic()))
        server.start_server()
        seconds = time.monotonic() - gone_at
        _wait_for(stage, stage.count_admitted() + 2000)
    return seconds


def _wait_for(stage: playing_back.Stage, admitted: int) -> None:
    least = min(admitted, len(stage.ids))
    waiting.until(
        lambda: stage.count_admitted() >= least, seconds=_PATIENCE_SECONDS, what=f"{least} events to be admitted"
    )


def _end(stage: playing_back.Stage) -> None:
    """The last run, until everything is admitted."""
    with stage.play():
        _wait_for(stage, len(stage.ids))


def _sum_up(stage: playing_back.Stage, again: int, repeated: list[int]) -> dict[str, object]:
    return {
        "events": len(stage.ids),
        "runs": stage.run,
        "admitted": stage.count_admitted(),
        "acknowledged_by_checkpoints": len(stage.list_kept()),
        "delivered": stage.count_deliveries(),
        "sent_again_that_a_checkpoint_held": again,
        "sent_again_by_run": repeated,
        "out_of_order": stage.count_out_of_order(),
    }


def run() -> dict[str, object]:
    """Measure both, each in a scope of its own."""
    return {part: measure(part) for part in PARTS}


def measure(part: str) -> dict[str, object]:
    """One part, on databases and a gateway of its own."""
    with (
        tempfile.TemporaryDirectory() as name,
        embedded_postgres.start(durable=False) as server,
        embedded_postgres.start(durable=False) as checkpoint_server,
    ):
        folder = Path(name)
        dsn, checkpoint_dsn = server.create_database(), checkpoint_server.create_database()
        embedded_postgres.apply_schema(dsn)
        playing_back.prepare_receipts(dsn)
        playing_back.prepare_checkpoints(checkpoint_dsn)
        ids = playing_back.write_recording(folder / "recording.jsonl", events=EVENTS, keys=KEYS)
        with gateway.start(dsn=dsn, api_key=playing_back.API_KEY) as running:
            stage = playing_back.Stage(
                folder=folder, ids=ids, host=running.url, receipts_dsn=dsn, checkpoint_dsn=checkpoint_dsn,
                scope=part, shards=SHARDS, rate=RATE,
            )  # fmt: skip
            return _play(stage, checkpoint_server, random.Random())


def _play(
    stage: playing_back.Stage, checkpoint_server: embedded_postgres.PostgresServer, luck: random.Random
) -> dict[str, object]:
    again, repeated, outages = 0, list[int](), list[float]()
    runs = KILLS if stage.scope == KILLED else OUTAGES
    began = time.monotonic()
    for number in range(runs + 1):
        kept, since = stage.list_kept() if number else [], stage.find_last_delivery()
        known = stage.count_deliveries() - stage.count_admitted()
        if number == runs:
            _end(stage)
        elif stage.scope == KILLED:
            _kill_one(stage, (number + 1) * EVENTS // (runs + 1), luck)
        else:
            outages.append(round(_lose_database(stage, checkpoint_server, luck), 1))
        again += stage.count_sent_again(since, kept)
        repeated.append(stage.count_deliveries() - stage.count_admitted() - known)
        sys.stderr.write(f"run {stage.run}: {_sum_up(stage, again, repeated)}\n")
    summed = _sum_up(stage, again, repeated) | {"seconds": round(time.monotonic() - began)}
    return summed | ({"seconds_without_database": outages} if outages else {})
