"""Checkpoints in Postgres: a row for each shard, in the table of `infra/sql/playback_checkpoint.sql`.

Each save is one statement that holds only while the fence is the owner's, and says the whole state, so that one whose
answer was lost may be sent again.
"""

from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo

from burst.load.playback import checkpoints, progress, records

MIGRATION = "infra/sql/playback_checkpoint.sql"
_ANSWER_SECONDS = 4
_LACKS = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege)
_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('burst playback ' || %(scope)s, 0))"
_READ: LiteralString = """
SELECT output_id, recording, attempt, fence, low_water, last_file, last_row_index, last_ts_utc, beyond
FROM wsp_checkpoint WHERE pack_key = %(scope)s"""
_TAKE: LiteralString = """
INSERT INTO wsp_checkpoint (pack_key, output_id, recording, attempt, fence)
VALUES (%(scope)s, %(output)s, %(recording)s, %(attempt)s, 1)
ON CONFLICT (pack_key, output_id) DO UPDATE
SET fence = wsp_checkpoint.fence + 1, attempt = excluded.attempt, recording = excluded.recording, updated_at_utc = now()
RETURNING fence"""
_SAVE: LiteralString = """
UPDATE wsp_checkpoint
SET low_water = %(low_water)s, last_file = %(file)s, last_row_index = %(row)s, last_ts_utc = %(at)s,
    beyond = %(beyond)s, updated_at_utc = now()
WHERE pack_key = %(scope)s AND output_id = %(output)s AND fence = %(fence)s"""


class TableCheckpoints:
    """The store behind one DSN. It connects again by itself at the next call after one that failed."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Any] | None = None
        self._owner: checkpoints.CheckpointOwner | None = None
        self._fence = 0

    def take_over(self, owner: checkpoints.CheckpointOwner) -> progress.Checkpoint:
        """As `CheckpointStore` says."""
        values = {
            "scope": owner.scope, "output": owner.output, "recording": owner.recording, "attempt": owner.attempt
        }  # fmt: skip
        try:
            connection = self._connect()
            with connection.transaction():
                connection.execute(_LOCK, values)
                kept = {row[0]: _read_row(row) for row in connection.execute(_READ, values)}
                checkpoints.refuse_unfit(kept, owner)
                taken = connection.execute(_TAKE, values).fetchone()
        except psycopg.Error as exc:
            raise self._describe(exc) from None
        self._owner, self._fence = owner, taken[0] if taken else 0
        return kept[owner.output].checkpoint if owner.output in kept else progress.Checkpoint()

    def read_scope(self, scope: str) -> dict[str, checkpoints.KeptCheckpoint]:
        """As `CheckpointStore` says."""
        try:
            return {row[0]: _read_row(row) for row in self._connect().execute(_READ, {"scope": scope})}
        except psycopg.Error as exc:
            raise self._describe(exc) from None

    def save(self, checkpoint: progress.Checkpoint) -> None:
        """As `CheckpointStore` says."""
        owner, last = self._owner, checkpoint.last
        if owner is None:
            raise RuntimeError("a checkpoint is saved before it was taken over")
        at = None if last is None or last.recorded_at is None else datetime.fromtimestamp(last.recorded_at, UTC)
        values = {
            "scope": owner.scope,
            "output": owner.output,
            "fence": self._fence,
            "low_water": checkpoint.low_water,
            "file": None if last is None else last.file,
            "row": None if last is None else last.row,
            "at": at,
            "beyond": checkpoint.write_beyond(),
        }
        try:
            saved = self._connect().execute(_SAVE, values).rowcount
        except psycopg.Error as exc:
            raise self._describe(exc) from None
        if saved != 1:
            raise checkpoints.Fenced(f"another run has taken over shard {owner.output} of {owner.scope}")

    def find_problem(self) -> str:
        """Why the table cannot be used; empty where it can. Raises CheckpointAway where nothing answers."""
        try:
            connection = self._connect()
            connection.execute(_READ, {"scope": ""})
            answer = connection.execute(
                "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool, "
                "has_table_privilege('wsp_checkpoint', 'INSERT'), "
                "has_table_privilege('wsp_checkpoint', 'UPDATE')"
            ).fetchone()
        except _LACKS as exc:
            return f"{_first_line(exc)}; apply {MIGRATION} and grant its role SELECT, INSERT and UPDATE"
        except psycopg.Error as exc:
            raise self._describe(exc) from None
        standby, reads_alone, inserts, updates = answer or (True, True, False, False)
        if standby:
            return "the database is a standby, which keeps no checkpoint"
        if reads_alone:
            return "the database lets this role read alone (default_transaction_read_only), so no checkpoint is kept"
        return "" if inserts and updates else "the role may not INSERT and UPDATE wsp_checkpoint; grant it both"

    def close(self) -> None:
        """As `CheckpointStore` says."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            try:
                own_options = conninfo.conninfo_to_dict(self._dsn).get("options") or ""  # such as a search_path
                self._connection = psycopg.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=_ANSWER_SECONDS,
                    application_name="burst/playback",
                    options=f"{own_options} -c statement_timeout={_ANSWER_SECONDS}s -c lock_timeout={_ANSWER_SECONDS}s",
                    keepalives_idle=_ANSWER_SECONDS,
                    tcp_user_timeout=_ANSWER_SECONDS * 1000,
                )
            except psycopg.ProgrammingError:  # its words repeat the DSN
                words = "the DSN of the checkpoints is none that Postgres knows (it is not shown)"
                raise checkpoints.CheckpointError(f"{words}; it is such as postgresql://HOST/DATABASE") from None
        return self._connection

    def _describe(self, failure: psycopg.Error) -> checkpoints.CheckpointError:
        """The failure in words; where the connection may be to blame, the next call makes a new one."""
        if isinstance(failure, _LACKS):
            return checkpoints.CheckpointError(f"{_first_line(failure)}; apply {MIGRATION}")
        self.close()
        return checkpoints.CheckpointAway(f"the database of the checkpoints does not answer: {_first_line(failure)}")


def _first_line(failure: psycopg.Error) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0]


def _read_row(row: tuple[Any, ...]) -> checkpoints.KeptCheckpoint:
    output, recording, attempt, fence, low_water, file, row_index, at, beyond = row
    recorded_at = at.timestamp() if isinstance(at, datetime) else None
    try:
        last = None if file is None else records.RecordPlace(file=file, row=int(row_index), recorded_at=recorded_at)
        checkpoint = progress.read_checkpoint(low_water, last, beyond)
    except (ValueError, TypeError) as exc:
        words = f"wsp_checkpoint: the row of {output} makes no sense: {exc}; mend it, or take a fresh scope"
        raise checkpoints.CheckpointError(words) from None
    return checkpoints.KeptCheckpoint(recording=recording, attempt=attempt, fence=fence, checkpoint=checkpoint)
