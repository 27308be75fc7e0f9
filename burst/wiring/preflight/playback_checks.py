"""The preflight checks of a playback: its recording is read from its beginning, and its checkpoints are asked."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from burst.adapters import secrets
from burst.control import preflight
from burst.domain.basics import errors, wording
from burst.domain.plan import plans, playback_sections
from burst.domain.preflight import findings, playback_judgements
from burst.load.playback import (
    checkpoint_files,
    checkpoint_tables,
    checkpoints,
    progress,
    recordings,
    records,
    shard_records,
    templates,
)
from burst.wiring.preflight import shared_answers

READ_RECORDS = 100
"""How many records are read: each kind of mistake that a plan can make shows in the first."""


def list_checks(plan: plans.Plan) -> tuple[list[preflight.PreflightCheck], Callable[[], int | None]]:
    """The checks of a plan, none without a playback; and how many records its checkpoints hold, None where this machine
    cannot tell."""
    if plan.load.playback is None:
        return [], lambda: None
    checks = PlaybackChecks(plan, plan.load.playback)
    return checks.list_all(), checks.count_kept


class PlaybackChecks:
    """The checks of a plan with a playback."""

    def __init__(self, plan: plans.Plan, playback: playback_sections.PlaybackSection) -> None:
        self._plan = plan
        self._playback = playback
        self._files = shared_answers.make_once(self._list_files)
        self._kept = shared_answers.make_once(self._read_kept)

    def list_all(self) -> list[preflight.PreflightCheck]:
        """The check of the recording, and of the checkpoints where the plan keeps some."""
        checks = [preflight.PreflightCheck(name=playback_judgements.RECORDING, ask=self._check_recording)]
        if self._playback.checkpoint is not None:
            checks.append(preflight.PreflightCheck(name=playback_judgements.CHECKPOINT, ask=self._check_checkpoint))
        return checks

    def count_kept(self) -> int | None:
        """How many records of the scope the checkpoints hold; None where they cannot be asked from here."""
        if self._playback.checkpoint is None or self._is_remote:
            return None
        try:
            return playback_judgements.count_kept(self._kept())
        except errors.BurstError:
            return None  # its own check says so

    @property
    def _is_remote(self) -> bool:
        """Whether the tasks, and not this machine, reach the recording and the checkpoints."""
        return self._plan.target.kind == "ecs"

    # The recording

    def _list_files(self) -> tuple[recordings.RecordedFile, ...]:
        try:
            return recordings.list_files(self._playback.source)
        except records.RecordingError as exc:
            raise errors.Refused(str(exc)) from None

    def _check_recording(self) -> findings.Finding:
        playback = self._playback
        is_on_s3 = playback.source.startswith(recordings.S3_SCHEME)
        if self._is_remote and not is_on_s3:
            words = f"{playback.source} lies in the image of the tasks, and was not read from here"
            return findings.report_warning(playback_judgements.RECORDING, words)
        try:
            return findings.report_pass(playback_judgements.RECORDING, self._describe_recording())
        except (records.RecordingError, errors.Refused) as exc:
            if self._is_remote and "AccessDenied" in str(exc):
                return findings.report_warning(playback_judgements.RECORDING, f"not read from here: {exc}")
            return findings.report_refusal(playback_judgements.RECORDING, str(exc))

    def _describe_recording(self) -> str:
        playback, files = self._playback, self._files()
        shard = shard_records.ShardReading(files=files, key=playback.key, at=playback.at, shard_index=0, shard_count=1)
        reading = itertools.islice(shard.read_from(progress.Checkpoint()), READ_RECORDS)
        first = [record for record in reading if record is not None]
        template = templates.RecordTemplate(playback.template or {})
        for record in first:
            template.fill(
                templates.RecordFilling(scope=self._plan.scope, shard=0, record=record, due_at=0.0, sent_at=0.0)
            )
        size = sum(file.size for file in files)
        count, records_read = wording.format_count(len(files), "file"), wording.format_count(len(first), "record")
        return f"{playback.source}: {count}, {size:,} bytes; the first {records_read} can be sent"

    # The checkpoints

    def _check_checkpoint(self) -> findings.Finding:
        playback = self._playback
        if self._is_remote:
            words = f"the tasks ask it by {playback.checkpoint_variable} before they are ready; not asked from here"
            return findings.report_warning(playback_judgements.CHECKPOINT, words)
        kept = self._kept()
        try:
            digest = recordings.describe(self._files(), key=playback.key, shard_count=self._plan.load_shards)
        except (errors.Refused, records.RecordingError):
            digest = None  # its own check says so
        return playback_judgements.judge_checkpoint(self._plan, kept, digest)

    def _read_kept(self) -> dict[str, checkpoints.KeptCheckpoint]:
        try:
            with self._open_store() as store:
                return store.read_scope(self._plan.scope)
        except checkpoints.CheckpointError as exc:
            raise errors.Refused(str(exc)) from None

    @contextmanager
    def _open_store(self) -> "Iterator[checkpoint_files.FileCheckpoints | checkpoint_tables.TableCheckpoints]":
        playback = self._playback
        if playback.checkpoint_secret is None:
            folder = Path(str(playback.checkpoint).removeprefix(checkpoints.FOLDER_SCHEME))
            files = checkpoint_files.FileCheckpoints(folder)
            files.require_writable()
            yield files
            return
        table = checkpoint_tables.TableCheckpoints(secrets.resolve(playback.checkpoint_secret).reveal())
        try:
            problem = table.find_problem()
            if problem:
                raise checkpoints.CheckpointError(problem)
            yield table
        finally:
            table.close()
