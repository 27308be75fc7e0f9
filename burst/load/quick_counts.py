"""What happens to most events, counted by two increments each: sent in time, and acknowledged.

The account proper counts an event in several places. A generator that sends thousands a second would spend more on that
than on the sending. So these counts stand beside it, by second, and are put into it once for each line that is written.
"""

from typing import TYPE_CHECKING

from burst.load import histograms

if TYPE_CHECKING:
    from burst.load import load_account


class QuickCounts:
    """Events sent in time, by the second of the sending and that in which they were due; successes by second, name and
    latency. Both by the step of a rate plan too, None where there is none."""

    def __init__(self) -> None:
        self._sent: dict[tuple[int, int | None, str | None], int] = {}
        self._latest_seconds = 0.0
        self._successes: dict[tuple[int, str, str | None, int | None], int] = {}

    def note_sent(self, at: float) -> None:
        """One event was sent that no schedule said was due."""
        key = (int(at), None, None)
        self._sent[key] = self._sent.get(key, 0) + 1

    def note_sent_in_time(self, at: float, due_at: float, step: str | None) -> None:
        """One event was sent no later than in time."""
        key = (int(at), int(due_at), step)
        self._sent[key] = self._sent.get(key, 0) + 1
        if at - due_at > self._latest_seconds:
            self._latest_seconds = at - due_at

    def note_success(self, at: float, name: str, latency_seconds: float | None, step: str | None) -> None:
        """One request was acknowledged."""
        bucket = None if latency_seconds is None else histograms.find_bucket(latency_seconds)
        key = (int(at), name, step, bucket)
        self._successes[key] = self._successes.get(key, 0) + 1

    def move_to(self, account: "load_account.LoadAccount") -> None:
        """Put all of it into the account, and begin anew."""
        sent, self._sent = self._sent, {}
        successes, self._successes = self._successes, {}
        account.latest_seconds, self._latest_seconds = max(account.latest_seconds, self._latest_seconds), 0.0
        for (second, due_second, step), number in sent.items():
            account.count(second, "sent", number)
            if due_second is not None:
                account.count(due_second, "in_time", number)
            if step is not None:
                account.find_step(step)["sending"]["in_time"] += number
        for (second, name, step, bucket), number in successes.items():
            account.count(second, "acknowledged", number)
            for entry in (account.find_name(name), *([account.find_step(step)] if step is not None else [])):
                entry["outcomes"]["acknowledged"] += number
                if bucket is not None:
                    entry["latency"][bucket] += number
            if bucket is not None:
                account.count_latency(second, bucket, number)
