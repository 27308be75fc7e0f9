"""Side by side: the same call for many items on a few threads, with its outcomes in the order in which they come.

In the kit because the controller stops tasks by it, and the adapters launch tasks and read records by it. Who iterates
stays in its own thread: it journals each outcome, and between two of them it may beat, look and show.
"""

import concurrent.futures
import queue
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from burst.domain.basics import errors

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome(Generic[Item, Result]):
    """What became of the call for one item: its `result`, or the `failure` that it raised."""

    item: Item
    result: Result | None = None
    failure: errors.BurstError | None = None


def call_each(
    call: Callable[[Item], Result], items: Iterable[Item], *, threads: int, every_seconds: float
) -> Generator[CallOutcome[Item, Result] | None, None, None]:
    """Calls for each item, at most `threads` at once, and yields the outcomes; None where none came in `every_seconds`.

    An error that is not burst's own is raised. Whoever leaves the iteration early begins no further call, and waits for
    those under way.
    """
    outcomes: queue.SimpleQueue[CallOutcome[Item, Result] | BaseException] = queue.SimpleQueue()

    def work(item: Item) -> None:
        try:
            outcomes.put(CallOutcome(item=item, result=call(item)))
        except errors.BurstError as exc:
            outcomes.put(CallOutcome(item=item, failure=exc))
        except BaseException as exc:  # raised again by the thread that iterates
            outcomes.put(exc)

    executor = concurrent.futures.ThreadPoolExecutor(max_workers=threads, thread_name_prefix="burst-call")
    try:
        unfinished = len([executor.submit(work, item) for item in items])
        while unfinished:
            try:
                outcome = outcomes.get(timeout=every_seconds)
            except queue.Empty:
                yield None
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            unfinished -= 1
            yield outcome
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def call_all(call: Callable[[Item], Result], items: Iterable[Item], *, threads: int) -> list[CallOutcome[Item, Result]]:
    """Calls for each item, at most `threads` at once, and returns all outcomes, in the order of the items."""
    listed = list(items)
    by_position: dict[int, CallOutcome[Item, Result]] = {}

    def call_at(position: int) -> Result:
        return call(listed[position])

    for outcome in call_each(call_at, range(len(listed)), threads=threads, every_seconds=60.0):
        if outcome is not None:
            by_position[outcome.item] = CallOutcome(
                item=listed[outcome.item], result=outcome.result, failure=outcome.failure
            )
    return [by_position[position] for position in range(len(listed))]
