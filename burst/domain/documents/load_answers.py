"""Answers: how the requests of a burst, or of some steps of its rate plan, were answered, by the load accounts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from burst.domain.documents import load_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers that are judged. `load` is the whole account, of which they are a part."""

    load: load_documents.Load
    acknowledged: int
    refused: Mapping[str, int]
    failed: Mapping[str, int]
    latency: Sequence[load_documents.LatencyBucket]
    due: int | None
    """The events due in these steps; None of the whole burst, where `load` knows those that were sent."""

    @classmethod
    def of_burst(cls, load: load_documents.Load) -> Self:
        """The answers to every request."""
        refused, failed = Counter[str](), Counter[str]()
        for task in load.tasks:
            refused.update(task.refused)
            failed.update(task.failed)
        acknowledged = sum(task.acknowledged for task in load.tasks)
        return cls(load=load, acknowledged=acknowledged, refused=refused, failed=failed, latency=load.latency, due=None)

    @classmethod
    def of_steps(cls, load: load_documents.Load, names: Sequence[str]) -> Self | None:
        """The answers to the requests that were sent in these steps; None where a step has no account."""
        steps = [step for step in map(load.find_step, names) if step is not None]
        if len(steps) < len(names):
            return None
        refused, failed, latency = Counter[str](), Counter[str](), Counter[int]()
        for step in steps:
            refused.update(step.refused)
            failed.update(step.failed)
            latency.update({bucket.up_to_us: bucket.count for bucket in step.latency})
        return cls(
            load=load,
            acknowledged=sum(step.acknowledged for step in steps),
            refused=refused,
            failed=failed,
            latency=[load_documents.LatencyBucket(up_to_us=us, count=latency[us]) for us in sorted(latency)],
            due=sum(step.due for step in steps),
        )

    @property
    def answered(self) -> int:
        """How many requests came to an end."""
        return self.acknowledged + self.count_refused() + sum(self.failed.values())

    def count_refused(self, kind: str | None = None) -> int:
        """How many requests were refused, by the class of the status where one is named."""
        return sum(number for of, number in self.refused.items() if kind in (None, of))

    def count_unanswered(self, seconds: float) -> int:
        """How many requests may have waited for longer than this without an answer when the accounts ended: of a step
        no more than were due in it."""
        waiting = self.load.count_unanswered(seconds)
        return waiting if self.due is None else min(waiting, max(0, self.due - self.answered))

    def name_failures(self) -> str:
        """The refusals and failures in words, the most frequent first; empty where there are none."""
        ordered = sorted({**self.refused, **self.failed}.items(), key=lambda entry: (-entry[1], entry[0]))
        return ", ".join(f"{number} {kind}" for kind, number in ordered[:3])
