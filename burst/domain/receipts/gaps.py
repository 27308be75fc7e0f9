"""Gaps: stretches of a window without a receipt, as far as its buckets tell.

A gap begins and ends where a bucket does, so a pause that begins and ends within buckets with receipts is not seen: a
gap is never longer than the pause behind it, and shorter by less than two buckets.
"""

import itertools
from collections.abc import Sequence

from burst.domain.basics import instants, windows
from burst.domain.receipts import receipts


def find_gaps(buckets: Sequence[receipts.BucketCounts]) -> tuple[windows.Window, ...]:
    """Every stretch of adjacent buckets without a receipt, of whatever decision, at its exact length."""
    empty = (
        [bucket.window for bucket in stretch]
        for has_receipts, stretch in itertools.groupby(buckets, key=lambda bucket: bucket.counts.total > 0)
        if not has_receipts
    )
    return tuple(windows.Window(stretch[0].start, stretch[-1].end) for stretch in empty)


def find_longest_gap(buckets: Sequence[receipts.BucketCounts]) -> windows.Window | None:
    """The longest gap, the first one of that length; None where every bucket has a receipt."""
    return max(find_gaps(buckets), key=lambda gap: gap.end - gap.start, default=None)


def count_empty(buckets: Sequence[receipts.BucketCounts]) -> int:
    """How many buckets have no receipt; a last one that is shorter than the one before it is none of them."""
    shorter_last = len(buckets) > 1 and buckets[-1].window.seconds < buckets[-2].window.seconds
    return sum(bucket.counts.total == 0 for bucket in (buckets[:-1] if shorter_last else buckets))


def find_flaw(window: windows.Window, buckets: Sequence[receipts.BucketCounts], bucket_seconds: float) -> str:
    """Why these are not the buckets of a window, each at most this long; empty where they are."""
    if not buckets:
        return "the window was not counted in buckets"
    edges = [window.start, *(bucket.window.end for bucket in buckets)]
    starts = [*(bucket.window.start for bucket in buckets), window.end]
    gap = next((pair for pair in zip(edges, starts, strict=True) if pair[0] != pair[1]), None)
    if gap is not None:
        end, start = map(instants.text, gap)
        return f"the buckets do not cover {window}: one ends at {end}, the next begins at {start}"
    longest = max(bucket.window.seconds for bucket in buckets)
    if longest > bucket_seconds:
        return f"a bucket is {longest:g} s long, and the plan counts in buckets of {bucket_seconds:g} s"
    return ""
