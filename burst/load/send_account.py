"""The account of a load program: how many events it sent, and how late against its schedule."""

from burst.load import load_shares, send_schedule

LATE_SECONDS = 0.1


class SendAccount:
    """Counts the events of one task as they are sent."""

    def __init__(self, share: load_shares.LoadShare) -> None:
        self._share = share
        self._sent = 0
        self._late = 0
        self._latest_seconds = 0.0

    def record(self, slot: send_schedule.Slot, sent_at: float) -> None:
        """Count the slot's event as sent; `sent_at` is on the schedule's clock."""
        lateness_seconds = max(0.0, sent_at - slot.due)
        self._sent += 1
        self._late += lateness_seconds > LATE_SECONDS
        self._latest_seconds = max(self._latest_seconds, lateness_seconds)

    def summarize(self) -> str:
        """One line: the events sent, and their lateness."""
        return (
            f"sent {self._sent} events at {self._share.events_per_second:g}/s asked; {self._late} were over"
            f" {LATE_SECONDS * 1000:.0f} ms late, the latest {self._latest_seconds * 1000:.0f} ms"
        )
