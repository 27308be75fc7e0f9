"""The live view: everything that a person who watches a run wants to see, as one value at one instant.

Made of the plan and of what the journal says so far, so that the process that drives the run and any other that reads
its journal see the same. `live_screen` draws it, `fields` is the same for machines.
"""

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from burst.domain.basics import instants
from burst.domain.observations import limits, series_rules
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.receipts import receipts
from burst.domain.run import runs
from burst.domain.tasks import tasks
from burst.domain.verdict import snapshots
from burst.report import figures, live_events, live_gates, live_series, run_states

MOST_BUCKETS = 240
"""More than the widest terminal shows."""
NO_COUNTS_HERE = (
    "no count yet in the lease, which carries the last one; bars and gates are on the machine that drives the run"
)
COUNTS_OF_THE_LEASE = "rate and counts are the last ones in the lease; bars and gates are on the machine that drives it"


class Tone(enum.StrEnum):
    """How good a state is, for its colour."""

    GOOD = "good"
    BUSY = "busy"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """One check of preflight: `waiting`, or the worst status of its findings, with what was seen otherwise."""

    name: str
    status: str
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightProgress:
    """The checks of preflight, in their order."""

    checks: tuple[CheckState, ...] = ()
    waiting: str = ""
    """The checks that have not answered, in their own words of how far they are."""

    def answer(self, name: str, answers: Sequence[findings.Finding]) -> "PreflightProgress":
        """The checks once one has answered."""
        ordered = list(findings.FindingStatus)
        worst = max(answers, key=lambda finding: ordered.index(finding.status), default=None)
        status = findings.FindingStatus.PASSED if worst is None else worst.status
        seen = "" if worst is None or worst.passed else worst.seen
        answered = CheckState(name=name, status=status.value, seen=seen)
        # Several checks may share a name: the first that waits has answered.
        at = next((index for index, check in enumerate(self.checks) if check == _waiting(name)), None)
        if at is None:
            return self
        return PreflightProgress(checks=(*self.checks[:at], answered, *self.checks[at + 1 :]), waiting=self.waiting)

    @classmethod
    def begin(cls, names: Sequence[str]) -> "PreflightProgress":
        """The checks as they are asked."""
        return cls(checks=tuple(map(_waiting, names)))


WAITING = "waiting"


def _waiting(name: str) -> CheckState:
    return CheckState(name=name, status=WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a view is made of. `run` None: nothing was launched yet; `plan` None: not even its checks have begun.

    `next_due` says in words what is due, and when. `far`: only what run control says of the run is known.
    """

    plan: plans.Plan | None = None
    preflight: PreflightProgress = PreflightProgress()
    run: runs.Run | None = None
    baseline_per_second: float | None = None
    next_due: tuple[str, datetime] | None = None
    snapshot: snapshots.Snapshot | None = None
    notes: tuple[str, ...] = ()
    """Lines for the operator that have no other place, the newest last."""
    warnings: tuple[str, ...] = ()
    """Faults of the figures shown, or of the controller of the run; they stand at the top."""
    stale: bool = False
    """Whether the figures are no longer brought up to date: then none is a present rate."""
    far: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Countdown:
    """A span of time of which some is over; `spent_seconds` None: it has not begun."""

    name: str
    spent_seconds: float | None
    whole_seconds: float

    @property
    def left_seconds(self) -> float:
        """Seconds of the span that are not over."""
        return max(0.0, self.whole_seconds - (self.spent_seconds or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Events a minute; None where nobody can tell."""

    now: float | None = None
    needed: float | None = None
    offered: float | None = None
    sent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One row of bars: a figure for each bucket. `highest` None: the largest value is the tallest bar."""

    name: str
    values: tuple[float | None, ...]
    last: float | None
    highest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """One layer of the hard stop: armed, not armed for a reason, or fired at so many tasks."""

    name: str
    armed: bool
    fired: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The last sample of an observed series, beside its first rule."""

    name: str
    value: str
    rule: str
    standing: live_gates.Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """The view of a run at one instant."""

    at: datetime
    title: str
    scope: str
    state: str
    tone: Tone
    next_due: str = ""
    clocks: tuple[Countdown, ...] = ()
    rates: Rates = Rates()
    bucket_seconds: float = 0.0
    tracks: tuple[Track, ...] = ()
    counts: receipts.Counts | None = None
    gates: tuple[live_gates.GateStanding, ...] = ()
    asked_later: int = 0
    """How many facts are asked when the burst has ended."""
    task_states: Mapping[str, int] = field(default_factory=dict, hash=False)
    ready: tuple[int, int] | None = None
    """How many tasks are ready before GO, and of how many."""
    late_tasks: int | None = None
    layers: tuple[LayerState, ...] = ()
    observed: tuple[Observed, ...] = ()
    checks: tuple[CheckState, ...] = ()
    blind: tuple[str, ...] = ()
    happenings: tuple[live_events.Happening, ...] = ()
    open_blockers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def build(situation: Situation, now: datetime) -> LiveView:
    """The view of a situation at an instant."""
    run, plan = situation.run, situation.plan
    if plan is None or run is None:
        return _show_preflight(situation, now)
    reckoning = live_gates.Reckoning(plan=plan, run=run, baseline_per_second=situation.baseline_per_second, now=now)
    buckets, required_per_second = _fit_buckets(plan, run), reckoning.required_per_second
    verdict = situation.snapshot
    return LiveView(
        at=now,
        title=_title(plan, run.execution_id),
        scope=plan.scope,
        state=run_states.name(run) if verdict is None else _tell_verdict(verdict),
        tone=Tone.BAD if situation.warnings else _choose_tone(run),
        next_due=_tell_due(situation, now),
        clocks=_list_clocks(plan, run, now),
        rates=replace(find_rates(reckoning), now=None, sent=None) if situation.stale else find_rates(reckoning),
        bucket_seconds=0.0 if buckets is None else buckets.seconds,
        tracks=()
        if buckets is None or situation.far
        else _list_tracks(situation, run, buckets, required_per_second, now),
        counts=None if situation.far and run.counted_to is None else run.counts,
        gates=() if situation.far else live_gates.list_standings(reckoning),
        asked_later=len(plan.facts),
        task_states=Counter(truth.status.value for truth in run.truths.values()),
        ready=(run.ready_count, len(run.carriers)) if run.go_at is None and run.truths and not situation.far else None,
        late_tasks=None if run.load is None else run.load.late_tasks,
        layers=_list_layers(run),
        observed=tuple(_list_observed(plan, run)),
        checks=situation.preflight.checks if run.launching_at is None else (),
        blind=(*situation.warnings, *_tell_blindness(run, now)),
        happenings=live_events.list_happenings(run),
        open_blockers=tuple(_list_blockers(verdict)),
        notes=(*situation.notes, *_tell_distance(situation)),
    )


def _show_preflight(situation: Situation, now: datetime) -> LiveView:
    checks = situation.preflight.checks
    done = sum(check.status != WAITING for check in checks)
    refused = any(check.status == findings.FindingStatus.REFUSED for check in checks)
    return LiveView(
        at=now,
        title=_title(situation.plan, None),
        scope="" if situation.plan is None else situation.plan.scope,
        state=f"preflight, {done} of {len(checks)} checks answered" if checks else "preflight begins",
        tone=Tone.BAD if refused else Tone.BUSY,
        next_due=f"waiting for {situation.preflight.waiting}" if situation.preflight.waiting else "",
        checks=checks,
        notes=situation.notes,
    )


def _tell_distance(situation: Situation) -> Iterator[str]:
    """The figures that another machine cannot see; a verdict tells more than any count."""
    run = situation.run
    if situation.far and run is not None and situation.snapshot is None:
        yield NO_COUNTS_HERE if run.counted_to is None else COUNTS_OF_THE_LEASE


def _title(plan: plans.Plan | None, run_id: str | None) -> str:
    if plan is None:
        return ""
    kind = "" if plan.kind == "burst" else f" ({plan.kind})"
    return f"{plan.phase}{kind}  {run_id or plan.execution_id or 'a new run'}"


def _tell_verdict(snapshot: snapshots.Snapshot) -> str:
    word, reason = "PASS" if snapshot.overall_pass else "HOLD", snapshot.exit_reason
    words = reason if reason.startswith(word) else f"{word}: {reason}"
    return f"{words} (exit {snapshot.exit_code})"


def _choose_tone(run: runs.Run) -> Tone:
    if run.exit_code is not None:
        return Tone.BAD if run.exit_code else Tone.GOOD
    if run.blind_since is not None or run.superseded:
        return Tone.BAD
    if run.stopping is not None or run.count_blindness is not None or run.signs_in_doubt:
        return Tone.WARNING
    return Tone.BUSY if run.go_at is None else Tone.GOOD


def _tell_due(situation: Situation, now: datetime) -> str:
    run, due = situation.run, situation.next_due
    if due is None or (run is not None and run.exit_code is not None):
        return ""
    words, at = due
    return f"{words} in {live_gates.format_span(instants.seconds_between(now, at))}"


def _list_clocks(plan: plans.Plan, run: runs.Run, now: datetime) -> tuple[Countdown, ...]:
    """The window, the deadline and the budget; of a run that has ended as they were then."""
    end = run.attempt_window.end if run.attempt_window is not None and run.stopped else now
    counted_from = None if run.go_at is None else instants.later(run.go_at, plan.lead_seconds)
    window = None if counted_from is None else max(0.0, instants.seconds_between(counted_from, end))
    cap = plan.budget.cap_seconds
    spent = None if run.deadline is None else max(0.0, cap - instants.seconds_between(end, run.deadline))
    return (
        Countdown(name="window", spent_seconds=window, whole_seconds=plan.budget.window_seconds),
        Countdown(name="deadline", spent_seconds=spent, whole_seconds=cap),
        Countdown(name="budget", spent_seconds=live_gates.find_spent_seconds(run, end), whole_seconds=plan.budget.max),
    )


def find_rates(reckoning: live_gates.Reckoning) -> Rates:
    """The rates of now; none once the burst is being stopped."""
    plan, run, required = reckoning.plan, reckoning.run, reckoning.required_per_second
    if run.stopping is not None:
        return Rates()
    offered = None
    if run.go_at is not None:
        since_go = instants.seconds_between(run.go_at, reckoning.now)
        if since_go < plan.load_seconds:
            events = plan.count_planned(max(0.0, since_go - 1), max(1.0, since_go))
            offered = None if events is None else events * 60
    counted = live_series.list_counted(run, "ADMIT") if _counts_are_fresh(run, reckoning.now) else ()
    return Rates(
        now=live_series.find_recent_rate(counted),
        needed=None if required is None else required * 60,
        offered=offered,
        sent=live_series.find_recent_rate(live_series.list_load(run, "sent")),
    )


def _fit_buckets(plan: plans.Plan, run: runs.Run) -> live_series.Buckets | None:
    if run.go_at is None:
        return None
    return live_series.Buckets.fit(
        instants.later(run.go_at, plan.lead_seconds), plan.budget.window_seconds, FITTED_BUCKETS
    )


def _counts_are_fresh(run: runs.Run, now: datetime) -> bool:
    """Whether live counts come, and the last one is of a while that may be called now."""
    if run.count_blindness is not None or run.counted_to is None:
        return False
    return run.stopping is not None or instants.seconds_between(run.counted_to, now) <= FRESH_SECONDS


FRESH_SECONDS = 20.0
"""A slice is counted some ten seconds after its end, once late receipts have come. A rate of older ones is not of now:
where each count reads the whole window of a large table, minutes may pass between two."""
FITTED_BUCKETS = 48
"""A terminal of 80 columns has room for so many bars beside name and figure."""


def _list_tracks(
    situation: Situation, run: runs.Run, buckets: live_series.Buckets, required_per_second: float | None, now: datetime
) -> tuple[Track, ...]:
    """The rates share one scale, so that a single error is no tall bar."""
    scale = None if required_per_second is None else required_per_second * 60
    counting = _counts_are_fresh(run, now) and not situation.stale
    admitted, repeated = (live_series.list_counted(run, word) for word in ("ADMIT", "DUPLICATE"))
    slow = live_series.list_load(run, "p95_ms", grows=False)
    failed = live_series.list_load(run, "unsuccessful")
    return (
        Track(
            name="ADMIT/min",
            values=buckets.find_rates(admitted),
            last=live_series.find_recent_rate(admitted) if counting else None,
            highest=scale,
        ),
        Track(
            name="DUPLICATE/min",
            values=buckets.find_rates(repeated),
            last=live_series.find_recent_rate(repeated) if counting else None,
            highest=scale,
        ),
        Track(name="p95 ms", values=buckets.find_highest(slow), last=slow[-1].amount if slow else None),
        Track(
            name="errors/min",
            values=buckets.find_rates(failed),
            last=live_series.find_recent_rate(failed),
            highest=scale,
        ),
    )


def _list_layers(run: runs.Run) -> tuple[LayerState, ...]:
    fired = Counter(truth.stopped_by for truth in run.truths.values() if truth.stopped_by is not None)
    names = dict.fromkeys((*run.layers, *(layer.value for layer in tasks.Layer if fired[layer])))
    return tuple(
        LayerState(
            name=name,
            armed=run.layers.get(name) == "armed",
            fired=fired[tasks.Layer(name)],
            why="" if run.layers.get(name, "armed") == "armed" else run.layers[name],
        )
        for name in names
    )


def _list_observed(plan: plans.Plan, run: runs.Run) -> Iterator[Observed]:
    for series in plan.observed_series:
        taken = run.observed.get(series.name, ())
        value = taken[-1].value if taken else None
        rule = series.rules[0].rule
        words = "no sample yet" if not taken else "no answer" if value is None else figures.number(value)
        yield Observed(name=series.name, value=words, rule=rule.text, standing=_judge_last(rule, value))


_BY_LAST = (series_rules.Aggregate.MAX, series_rules.Aggregate.MIN, series_rules.Aggregate.LAST)
"""The aggregates of which one sample tells something."""


def _judge_last(rule: series_rules.Rule, value: limits.Value) -> live_gates.Standing:
    if value is None or rule.limit is None or rule.aggregate not in _BY_LAST:
        return live_gates.Standing.UNKNOWN
    met = limits.meets(value, rule.limit.comparison, rule.limit.required)
    return live_gates.Standing.HOLDS if met else live_gates.Standing.SHORT


def _tell_blindness(run: runs.Run, now: datetime) -> Iterator[str]:
    if run.exit_code is not None:
        return
    if run.blind_since is not None:
        yield _since("the tasks cannot be seen", run.blind_since, now, run.outages[-1].detail)
    if run.count_blindness is not None and run.stopping is None:
        yield _since("no count comes", run.count_blindness.since_utc, now, run.count_blindness.why)
    for sign in run.unclear_signs:
        if sign.until_utc is None:
            yield _since(f"{sign.sign} cannot be read", sign.since_utc, now, sign.detail)
    if run.lease_lost:
        yield "the heartbeat cannot be written: tasks end by themselves"
    if run.superseded:
        yield run.superseded


def _since(blind_spot: str, since: datetime, now: datetime, why: str) -> str:
    seconds = live_gates.format_span(instants.seconds_between(since, now))
    return f"blind since {since:%H:%M:%S} ({seconds}): {blind_spot}: {why}"


def _list_blockers(snapshot: snapshots.Snapshot | None) -> Iterator[str]:
    for entry in () if snapshot is None else snapshot.open_entries:
        yield f"{entry.blocker}  {entry.title}: {entry.why}"


def list_fields(view: LiveView) -> dict[str, Any]:
    """The view as one JSON object, for machines that follow a run; the figures of its last bucket alone."""
    return {
        "state": view.state,
        "clocks": {clock.name: {"spent_seconds": _round(clock.spent_seconds), "of_seconds": clock.whole_seconds}
                   for clock in view.clocks},
        "rates_per_minute": {name: _round(getattr(view.rates, name)) for name in ("now", "needed", "offered", "sent")},
        "last": {track.name: _round(track.last) for track in view.tracks},
        "counts": None if view.counts is None else {
            "ADMIT": view.counts.admit, "DUPLICATE": view.counts.duplicate,
            "QUARANTINE": view.counts.quarantine, "other": view.counts.other,
        },
        "gates": [
            {"name": gate.name, "value": gate.value, "bound": gate.bound, "standing": gate.standing.value,
             "needed": gate.needed}
            for gate in view.gates
        ],
        "tasks": dict(view.task_states),
        "late_tasks": view.late_tasks,
        "layers": {layer.name: {"armed": layer.armed, "fired": layer.fired} for layer in view.layers},
        "observed": {series.name: series.value for series in view.observed},
        "blind": list(view.blind),
    }  # fmt: skip


def _round(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
