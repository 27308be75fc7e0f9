"""Load accounts: those of all tasks, merged exactly to the one document of the run."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from burst.domain.documents import load_documents
from burst.domain.run.events import watch_events
from burst.load import histograms, load_account


def parse(read: Mapping[int, bytes]) -> dict[int, load_account.LoadAccount]:
    """The accounts in the bytes of a port; one that makes no sense counts as a bad line."""
    accounts = {}
    for shard, content in read.items():
        accounts[shard] = load_account.LoadAccount()
        accounts[shard].add_line(content)
    return accounts


def build_document(
    accounts: Mapping[int, load_account.LoadAccount],
    *,
    execution_id: str,
    scope: str,
    find_values: Callable[[int], dict[str, str]] = lambda _: {},
) -> load_documents.Load | None:
    """The document of a run from the accounts of its shards, with the per-shard values of each; None where no task
    wrote one."""
    counted = {shard: account for shard, account in sorted(accounts.items()) if account.last_at is not None}
    if not counted:
        return None
    whole = load_account.LoadAccount()
    for account in counted.values():
        whole.add_value(account.to_value())
    return load_documents.Load(
        execution_id=execution_id,
        platform_run_id=scope,
        resolution=histograms.RESOLUTION,
        tasks=[_build_task(shard, account, find_values(shard)) for shard, account in counted.items()],
        seconds=[
            load_documents.SecondLoad(
                start_utc=datetime.fromtimestamp(second, UTC),
                **{figure: counts[figure] for figure in load_account.BY_SECOND},
            )
            for second, counts in sorted(whole.seconds.items())
        ],
        requests=[_build_request(name, parts) for name, parts in sorted(whole.names.items())],
        latency=_list_buckets(whole.latency),
        latency_over_time=[_build_part(second, counts) for second, counts in sorted(whole.latency_over_time.items())],
        markers=dict(sorted(whole.markers.items())),
        marked_utc={name: datetime.fromtimestamp(at, UTC) for name, at in sorted(whole.marked_at.items())},
        steps=[_build_step(name, parts) for name, parts in sorted(whole.steps.items())],
    )


def _build_request(name: str, parts: Mapping[str, Counter[Any]]) -> load_documents.RequestLoad:
    return load_documents.RequestLoad(
        name=name,
        acknowledged=parts["outcomes"]["acknowledged"],
        refused=dict(sorted(parts["refused"].items())),
        failed=dict(sorted(parts["failed"].items())),
        latency=_list_buckets(parts["latency"]),
    )


def _build_part(second: int, counts: Counter[int]) -> load_documents.LatencyPart:
    return load_documents.LatencyPart(
        start_utc=datetime.fromtimestamp(second, UTC),
        seconds=load_account.PART_SECONDS,
        latency=_list_buckets(counts, histograms.find_highest_wide),
    )


def _build_step(name: str, parts: Mapping[str, Counter[Any]]) -> load_documents.StepLoad:
    return load_documents.StepLoad(
        name=name,
        due=parts["sending"]["due"],
        in_time=parts["sending"]["in_time"],
        acknowledged=parts["outcomes"]["acknowledged"],
        refused=dict(sorted(parts["refused"].items())),
        failed=dict(sorted(parts["failed"].items())),
        latency=_list_buckets(parts["latency"]),
    )


def summarize(document: load_documents.Load, before: load_documents.Load | None = None) -> watch_events.LoadCounted:
    """The event that says what the accounts came to, and how long the answers took that are not in `before`.

    Where a task has no schedule, nobody knows what was due in all.
    """
    scheduled = len(document.shards_with_due) == len(document.tasks)
    latency = load_documents.subtract_latency(document.latency, () if before is None else before.latency)
    return watch_events.LoadCounted(
        tasks=len(document.tasks),
        due=document.decided_due if scheduled else 0,
        in_time=document.in_time if scheduled else 0,
        sent=document.sent,
        answered=document.answered,
        unsuccessful=document.refusals() + document.failures(),
        late_tasks=sum(task.late > 0 for task in document.tasks),
        p95_ms=load_documents.find_percentile_ms(latency, 95.0),
    )


def _build_task(shard: int, account: load_account.LoadAccount, values: dict[str, str]) -> load_documents.TaskAccount:
    first_at, last_at = account.first_at or 0.0, account.last_at or 0.0
    totals = Counter[str]()
    undecided = 0
    for second, counts in account.seconds.items():
        totals.update(counts)
        if second + 1 + load_account.LATE_SECONDS > last_at:
            undecided += max(0, counts["due"] - counts["in_time"])
    return load_documents.TaskAccount(
        shard_index=shard,
        first_utc=datetime.fromtimestamp(first_at, UTC),
        last_utc=datetime.fromtimestamp(last_at, UTC),
        knows_due=account.knows_due,
        due=totals["due"],
        in_time=totals["in_time"],
        undecided=undecided,
        sent=totals["sent"],
        late=account.late,
        latest_seconds=account.latest_seconds,
        acknowledged=totals["acknowledged"],
        refused=dict(sorted(account.refused.items())),
        failed=dict(sorted(account.failed.items())),
        bad_lines=account.bad_lines,
        processes=len(account.processes) or None,
        values=values,
    )


def _list_buckets(
    counts: Mapping[int, int], find_highest: Callable[[int], float] = histograms.find_highest
) -> list[load_documents.LatencyBucket]:
    return [
        load_documents.LatencyBucket(up_to_us=round(find_highest(bucket) * 1_000_000), count=counts[bucket])
        for bucket in sorted(counts)
    ]
