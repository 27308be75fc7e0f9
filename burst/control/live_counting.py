"""Live counting: the receipts of a running burst, counted on a thread, so that a slow database holds up no look.

A count that does not come is journalled, with the reason: without counts no rule of early stop can act.
"""

import re
from datetime import datetime

from burst import ports
from burst.control import pausing, questions_aside, recorder
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import window_metrics
from burst.domain.plan import plans
from burst.domain.receipts import receipts
from burst.domain.run import runs
from burst.domain.run.events import watch_events
from burst.kit import measure

POLL_SECONDS = 2.0
"""The pause between two live counts."""
WAITED_SECONDS = 3.0
"""How long the loop waits for a live count that it began; the guard holds tasks to the deadline meanwhile."""
PATIENCE_SECONDS = 30.0
"""How long one live count may take."""
SILENCE_SECONDS = 6.0
"""After so long a count that does not come is said: a server that gives up a wait for a lock has said so by then."""
REASONS_MAX = 3
"""So many reasons of one blindness are journalled: a lock may be followed by an outage, and each has its own mend."""
_NUMBER = re.compile(r"\d[\d.,:]*")


def poll_seconds(window_seconds: float) -> float:
    """Seconds between two live counts: thirty counts a window, but at least one every two seconds."""
    return min(POLL_SECONDS, max(1.0, window_seconds / 30))


def settle_seconds(window_seconds: float, plan_settle_seconds: float) -> float:
    """How long a live count waits for late receipts: as long as the plan says, but no longer than a short window
    has time for."""
    return min(plan_settle_seconds, 10.0, max(1.0, window_seconds / 30))


def check_slices(
    run: runs.Run,
    measured: measure.Measurement,
    source: ports.ReceiptSource,
    patience: pausing.QuestionPatience,
    *,
    lead_seconds: float = 0.0,
) -> window_metrics.LiveEntry | None:
    """The sum of the live counts, which begin so long after GO, beside a last count of the same time; None where there
    were no live counts."""
    whole = measured.count
    if run.go_at is None or run.counted_to is None:
        return None
    window = windows.Window(instants.later(run.go_at, lead_seconds), run.counted_to)
    live = sum((poll.counts for poll in run.polls), receipts.Counts())
    counts: receipts.Counts | None = whole.counts
    problem = ""
    if window != whole.window:
        try:
            again = patience.ask(
                lambda: source.count(
                    window, scope=whole.scope, bucket_seconds=window.seconds, give_up_at=patience.give_up_at
                )
            )
            counts = again.counts
        except errors.BurstError as exc:
            counts, problem = None, str(exc)
    return window_metrics.LiveEntry(
        counted_to_utc=run.counted_to,
        slices=window_metrics.CountsEntry.from_counts(live),
        counts=None if counts is None else window_metrics.CountsEntry.from_counts(counts),
        problem=problem,
    )


class LiveCounting:
    """The live counts of one run."""

    def __init__(
        self, *, plan: plans.Plan, record: recorder.Recorder, source: ports.ReceiptSource, clock: ports.Clock
    ) -> None:
        self._plan = plan
        self._record = record
        self._source = source
        self._clock = clock
        self._question: questions_aside.Question[receipts.LiveCount] | None = None
        self._counter: ports.Counter | None = None
        self._due: datetime | None = None
        self._is_asked = False
        self._reasons: set[str] = set()
        """Why no count comes at present, each reason without its numbers, which differ every time."""

    def look(self, now: datetime) -> None:
        """Begins the count that is due, and journals the one that has come."""
        run = self._record.run
        counted_from = None if run.go_at is None else instants.later(run.go_at, self._plan.lead_seconds)
        if counted_from is None or now < counted_from:
            return
        if self._question is None:
            self._question = questions_aside.Question(lambda: self._poll(counted_from), every_seconds=0.0)
        seconds = 0.0
        if not self._is_asked and (self._due is None or now >= self._due):
            self._is_asked, seconds = self._question.begin(now), WAITED_SECONDS
        if not self._is_asked:
            return
        outcome = self._question.take(seconds)
        if outcome is not None:
            self._is_asked = False
            self._note(outcome)
        elif self._question.silent(self._clock.now(), SILENCE_SECONDS):
            self._note_blindness("the count that is under way does not come")

    def _poll(self, counted_from: datetime) -> receipts.LiveCount:
        """One count. The first one also begins to follow the burst, which may fail as a count may."""
        if self._counter is None:
            self._counter = self._follow(self._record.run, counted_from)
        return self._counter.poll(self._clock.now())

    def _follow(self, run: runs.Run, counted_from: datetime) -> ports.Counter:
        budget = self._plan.budget
        return self._source.follow(
            start=run.counted_to or counted_from,
            until=instants.later(run.deadline or self._clock.now(), budget.stop_grace),
            scope=self._plan.scope,
            settle_seconds=settle_seconds(budget.window_seconds, self._plan.receipts.settle),
            every_seconds=poll_seconds(budget.window_seconds),
            patience_seconds=PATIENCE_SECONDS,
        )

    def _note(self, outcome: questions_aside.QuestionOutcome[receipts.LiveCount]) -> None:
        every = poll_seconds(self._plan.budget.window_seconds)
        if outcome.failure is not None:
            every *= 2
            self._note_blindness(str(outcome.failure))
        self._due = instants.later(self._clock.now(), every)
        counted = outcome.answer.slice if outcome.answer is not None else None
        if counted is not None:
            window = counted.window
            self._reasons.clear()
            self._record.note(watch_events.Counted(start=window.start, end=window.end, counts=counted.counts))

    def _note_blindness(self, why: str) -> None:
        """Journals that no count comes, once for each of its reasons, until one has come."""
        reason = _NUMBER.sub("", why)
        if reason not in self._reasons and len(self._reasons) < REASONS_MAX:
            self._reasons.add(reason)
            self._record.note(watch_events.CountBlind(why=why))
