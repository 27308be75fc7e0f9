"""Judgements of a playback before it begins: its checkpoint, and what of its scope is sent again."""

from collections.abc import Mapping

from burst.domain.basics import wording
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.load import task_processes
from burst.load.playback import checkpoints

RECORDING, CHECKPOINT = "recording", "checkpoint"


def count_kept(kept: Mapping[str, checkpoints.KeptCheckpoint]) -> int:
    """How many records the checkpoints of a scope hold as acknowledged."""
    return sum(each.checkpoint.acknowledged for each in kept.values())


def count_left(plan: plans.Plan, kept: Mapping[str, checkpoints.KeptCheckpoint]) -> int | None:
    """How many records `max_events` leaves to all tasks; None without it. The recording may hold fewer."""
    most = plan.load.playback.max_events if plan.load.playback else None
    if most is None:
        return None
    held = {name: each.checkpoint.acknowledged for name, each in kept.items()}
    tasks, processes, shards = plan.target.tasks, plan.load.processes_per_task, plan.load_shards
    most_by_shard = [task_processes.split_whole(most, shard // tasks, processes) for shard in range(shards)]
    outputs = [checkpoints.name_output(shard, shards) for shard in range(shards)]
    return sum(max(0, own - held.get(output, 0)) for own, output in zip(most_by_shard, outputs, strict=True))


def judge_checkpoint(
    plan: plans.Plan, kept: Mapping[str, checkpoints.KeptCheckpoint], recording: str | None
) -> findings.Finding:
    """Whether every shard can begin where the scope's checkpoints are; `recording` None: it could not be read."""
    shards, continues = plan.load_shards, bool(plan.load.continues)
    for index in range(shards):
        owner = checkpoints.CheckpointOwner(
            scope=plan.scope,
            shard_index=index,
            shard_count=shards,
            attempt=str(plan.execution_id),
            recording=recording or _find_recording(kept),
            continues=continues,
        )
        try:
            checkpoints.refuse_unfit(kept, owner)
        except checkpoints.CheckpointError as exc:
            return findings.report_refusal(CHECKPOINT, str(exc))
    if count_left(plan, kept) == 0:
        most = plan.load.playback.max_events if plan.load.playback else None
        words = f"nothing is left of {plan.scope}: each task has sent its load.playback.max_events, which is {most}"
        return findings.report_refusal(CHECKPOINT, f"{words}; raise it, or take a fresh scope")
    acknowledged = wording.format_count(count_kept(kept), "record")
    if continues and not count_kept(kept):
        words = f"load.continues is true, and no checkpoint of {plan.scope} holds a record: it begins with the first"
        return findings.report_warning(CHECKPOINT, words)
    return findings.report_pass(CHECKPOINT, f"it can be written; {acknowledged} of {plan.scope} acknowledged before")


def _find_recording(kept: Mapping[str, checkpoints.KeptCheckpoint]) -> str:
    return next((each.recording for each in kept.values()), "")


def describe_going_on(plan: plans.Plan, admitted: int, kept: int | None) -> str:
    """The arithmetic of a scope that goes on: an admitted event in no checkpoint is sent again, and is a DUPLICATE."""
    if kept is None:
        words = "what its checkpoints hold is not sent again, and what was admitted and is in none is a DUPLICATE"
        return f"; the scope goes on: {words}"
    again = max(0, admitted - kept)
    words = (
        f"; the scope goes on: its checkpoints hold {wording.format_count(kept, 'record')}, so of {admitted} admitted "
        f"at most {again} are sent again, as DUPLICATE"
    )
    most = plan.load.playback.max_events if plan.load.playback else None
    records_left = None if most is None else max(0, most * plan.target.tasks - kept)
    limits = [count for count in (plan.load.source_events, plan.planned_events, records_left) if count]
    if not limits:
        return words
    events, ratio = int(min(limits)), plan.gates.admit_ratio
    least = max(0, events - again) / events
    required = "" if ratio is None else f", required {ratio:g}"
    new = f"at least {max(0, events - again)} are new, a ratio of {least:.4f}{required}"
    return f"{words}: of {events} events, where the recording holds that many, {new}"
