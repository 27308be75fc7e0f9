"""Where a shard keeps its checkpoint, and which run may go on from it; without I/O.

Each run takes the checkpoint over before it sends, which raises its fence. A run that is still alive from before finds
at its next flush that the fence is another, and stops: two never write one checkpoint in turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from burst.load.playback import progress

FOLDER_SCHEME = "folder:"
ENVIRONMENT_SCHEME = "env:"


class CheckpointError(Exception):
    """A checkpoint cannot be used: the message says why and what to do; no secret."""


class CheckpointAway(CheckpointError):
    """The store does not answer now; the same question may succeed later."""


class Fenced(CheckpointError):
    """Another run has taken the checkpoint over."""


def name_output(shard_index: int, shard_count: int) -> str:
    """The name of a shard's output."""
    return f"{shard_index:04d}-of-{shard_count:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointOwner:
    """The run that asks for the checkpoint of one shard. `recording` is the digest of what it plays."""

    scope: str
    shard_index: int
    shard_count: int
    attempt: str
    recording: str
    continues: bool

    @property
    def output(self) -> str:
        """The name of the shard's output."""
        return name_output(self.shard_index, self.shard_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCheckpoint:
    """What a store holds of one output."""

    recording: str
    attempt: str
    fence: int
    checkpoint: progress.Checkpoint


class CheckpointStore(Protocol):
    """The checkpoints of all scopes. Raises CheckpointAway where it does not answer."""

    def take_over(self, owner: CheckpointOwner) -> progress.Checkpoint:
        """Make the checkpoint the owner's alone, from now on. Raises CheckpointError where `refuse_unfit` does."""

    def read_scope(self, scope: str) -> dict[str, KeptCheckpoint]:
        """The checkpoints of a scope, by output; reading changes none."""

    def save(self, checkpoint: progress.Checkpoint) -> None:
        """Keep what was acknowledged, durably when it returns. Raises Fenced where another run took it over."""

    def close(self) -> None:
        """Free what is held; no checkpoint is lost by it."""


def refuse_unfit(kept: Mapping[str, KeptCheckpoint], owner: CheckpointOwner) -> None:
    """Raises CheckpointError where going on would send again or skip; `kept` is all of the scope, by output."""
    other_shards = sorted(name for name in kept if not name.endswith(f"-of-{owner.shard_count:04d}"))
    if other_shards:
        raise CheckpointError(
            f"scope {owner.scope} was played in other shards ({other_shards[0]}), and this run has "
            f"{owner.shard_count}: records would move between shards; play it with as many tasks and processes as "
            "before, or in a fresh scope"
        )
    own = kept.get(owner.output)
    if own is not None and own.checkpoint.last is not None and not own.checkpoint.low_water:
        raise CheckpointError(
            f"the checkpoint of shard {owner.output} of {owner.scope} ends in {own.checkpoint.last.file} after 0 "
            "records, so what was played is not known; take a fresh scope"
        )
    if own is not None and own.checkpoint.acknowledged and not owner.continues:
        raise CheckpointError(
            f"scope {owner.scope} was played before, and {own.checkpoint.acknowledged} records of shard {owner.output} "
            "were acknowledged: say load.continues: true to go on behind them, or take a fresh scope"
        )
    other_recordings = sorted(
        name for name, each in kept.items() if _counts(each, owner) and each.recording != owner.recording
    )
    if other_recordings:
        raise CheckpointError(
            f"scope {owner.scope} was played from another recording (by shard {other_recordings[0]}): its "
            "files, their content or the key differ; go on with the same ones, or take a fresh scope"
        )


def _counts(kept: KeptCheckpoint, owner: CheckpointOwner) -> bool:
    """Whether what an output played binds the owner: it holds records, or plays in the owner's own run."""
    return bool(kept.checkpoint.acknowledged) or _name_run(kept.attempt) == _name_run(owner.attempt)


def _name_run(attempt: str) -> str:
    return attempt.partition("/")[0]


def describe_problem(checkpoint: str) -> str:
    """Why a text names no place of checkpoints; empty where it does."""
    scheme, _, address = checkpoint.partition(":")
    if f"{scheme}:" in (FOLDER_SCHEME, ENVIRONMENT_SCHEME) and address:
        return ""
    return "expected env:NAME of a variable that holds a DSN of Postgres, or folder:PATH"
