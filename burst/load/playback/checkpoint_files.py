"""Checkpoints in a folder: a file for each shard, replaced whole, under a lock while it is compared and written."""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from burst.load.playback import checkpoints, progress, records


class FileCheckpoints:
    """The store in one folder. The folder of a scope is named by its digest, because a scope may hold any character."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner: checkpoints.CheckpointOwner | None = None
        self._fence = 0

    def take_over(self, owner: checkpoints.CheckpointOwner) -> progress.Checkpoint:
        """As `CheckpointStore` says."""
        with self._lock(owner):
            kept = self.read_scope(owner.scope)
            checkpoints.refuse_unfit(kept, owner)
            own = kept.get(owner.output)
            checkpoint = progress.Checkpoint() if own is None else own.checkpoint
            fence = 1 if own is None else own.fence + 1
            self._write(owner, fence, checkpoint)
        self._owner, self._fence = owner, fence
        return checkpoint

    def read_scope(self, scope: str) -> dict[str, checkpoints.KeptCheckpoint]:
        """As `CheckpointStore` says."""
        try:
            return {path.stem: self._read(path) for path in sorted(self._scope_folder(scope).glob("*.json"))}
        except OSError as exc:
            raise self._describe(exc) from None

    def require_writable(self) -> None:
        """Raises CheckpointError where no file can be made in the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as exc:
            raise checkpoints.CheckpointError(f"{self._folder}: no file can be made there: {exc.strerror}") from None

    def save(self, checkpoint: progress.Checkpoint) -> None:
        """As `CheckpointStore` says."""
        if self._owner is None:
            raise RuntimeError("a checkpoint is saved before it was taken over")
        with self._lock(self._owner):
            own = self._read(self._place(self._owner))
            if own.fence != self._fence:
                raise checkpoints.Fenced(f"attempt {own.attempt} has taken over shard {self._owner.output}")
            self._write(self._owner, self._fence, checkpoint)

    def close(self) -> None:
        """Nothing is held between two calls."""

    def _place(self, owner: checkpoints.CheckpointOwner) -> Path:
        return self._scope_folder(owner.scope) / f"{owner.output}.json"

    def _scope_folder(self, scope: str) -> Path:
        return self._folder / hashlib.sha256(scope.encode()).hexdigest()[:32]

    @contextlib.contextmanager
    def _lock(self, owner: checkpoints.CheckpointOwner) -> Iterator[None]:
        try:
            self._scope_folder(owner.scope).mkdir(parents=True, exist_ok=True)
            with open(self._scope_folder(owner.scope) / "lock", "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise self._describe(exc) from None

    def _describe(self, failure: OSError) -> checkpoints.CheckpointAway:
        place = failure.filename or self._folder
        return checkpoints.CheckpointAway(f"the folder of the checkpoints: {place}: {failure.strerror or failure}")

    def _read(self, path: Path) -> checkpoints.KeptCheckpoint:
        try:
            value = json.loads(path.read_bytes())
            last = value["last"]
            return checkpoints.KeptCheckpoint(
                recording=value["recording"],
                attempt=value["attempt"],
                fence=int(value["fence"]),
                checkpoint=progress.read_checkpoint(
                    int(value["low_water"]), None if last is None else records.RecordPlace(**last), value["beyond"]
                ),
            )
        except (ValueError, KeyError, TypeError) as exc:
            raise checkpoints.CheckpointError(
                f"{path}: no checkpoint: {exc!r}; mend it, or take a fresh scope"
            ) from None

    def _write(self, owner: checkpoints.CheckpointOwner, fence: int, checkpoint: progress.Checkpoint) -> None:
        value: dict[str, Any] = {
            "scope": owner.scope,
            "recording": owner.recording,
            "attempt": owner.attempt,
            "fence": fence,
            "low_water": checkpoint.low_water,
            "last": None if checkpoint.last is None else asdict(checkpoint.last),
            "beyond": checkpoint.write_beyond(),
        }
        place = self._place(owner)
        new = place.with_suffix(".new")
        with open(new, "wb") as file:
            file.write(json.dumps(value).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, place)
        descriptor = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
