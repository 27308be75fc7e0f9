"""The plans of `burst demo`, against the embedded Postgres and the reference gateway.

The demo plays two plans. The first is a reference run, which makes the baseline. The second is a burst at three times
its rate with headroom, or with `replay` a rerun that sends only events that have been admitted before. Their rates
follow from what the machine was measured to reach, and the limits that depend on its speed are wide: a verdict of the
demo is to show what burst does, and not how busy a laptop is.
"""

from dataclasses import dataclass
from pathlib import Path

MULTIPLIER = 3.0
HEADROOM = 2.0
"""How many times the rate that is required a demo's burst sends: half of its window may be lost to a busy machine."""
BURST_FACTOR = MULTIPLIER * HEADROOM
"""How many times the baseline's rate a demo's burst sends."""
REACHED_SHARE = 0.5
"""The share of the rate the machine reaches that a demo's burst sends at most."""
DSN_NAME = "BURST_DEMO_DSN"
API_KEY_NAME = "BURST_DEMO_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRates:
    """Between which rates a demo's reference run may be, and how many times its rate the burst on it sends.

    Below `least_per_minute` a run of seconds has too few events to be a rate.
    """

    burst_factor: float
    least_per_minute: float
    most_per_minute: float

    def choose(self, reached_per_minute: float) -> float:
        """Events a minute of the reference run, so that the burst asks for a share of what the machine reaches."""
        affordable = reached_per_minute * REACHED_SHARE / self.burst_factor
        return float(round(min(max(affordable, self.least_per_minute), self.most_per_minute)))

    def can_carry(self, reached_per_minute: float) -> bool:
        """Whether the machine reaches what the least demo asks for."""
        return reached_per_minute >= self.least_per_minute * self.burst_factor


DEMO_RATES = BaselineRates(burst_factor=BURST_FACTOR, least_per_minute=240.0, most_per_minute=4500.0)

_OFFERED = "offered_load: 0.5"
"""Of what is due; a contract leaves out at most a hundredth, and a laptop has other things to do."""
_FACTS = """\
facts:
  - blocker: {prefix}-B2
    name: publish_ambiguous
    sql: "select count(*) from admissions where state = 'PUBLISH_AMBIGUOUS' and platform_run_id = :scope"
    equals: 0
  - blocker: {prefix}-B2
    name: duplicate_side_effects
    sql: "select count(*) - count(distinct event_id) from admissions where platform_run_id = :scope"
    equals: 0
  - blocker: {prefix}-B6
    name: unresolved_publishes
    sql: "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
    equals: 0
  - blocker: {prefix}-B7
    name: publishes_in_flight
    sql: "select count(*) from admissions where state = 'PUBLISH_IN_FLIGHT' and platform_run_id = :scope"
    at_most: 10
"""

_COMMON = """\
schema: burst.plan/v1
phase: {phase}
scope: {scope}
environment: local
target: {{kind: local, tasks: 2}}
load:
  locustfile: {locustfile}
  host: {host}
  profile: {profile}
  rate: {rate}
  headroom: {headroom:g}
{source}  api_key: env:BURST_DEMO_API_KEY
layers: {{require: [guard, sidecar, lease, controller], lease_ttl: 15s}}
budget: {{max: {cap}s, operator_cap: {cap}s, min_window: {window}s, start_timeout: 90s, stop_grace: 5s}}
receipts:
  dsn: env:BURST_DEMO_DSN
  bucket: 5s
  settle: 1s
evidence: {{local: {runs}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlaces:
    """The address of the gateway, and the paths of the locustfile and of the runs' folder."""

    host: str
    locustfile: Path
    runs: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _DemoRun:
    """One run of the demo: its phase and scope, and the load that it sends. `rate` as a plan has it."""

    phase: str
    scope: str = "fresh"
    profile: str = "steady"
    rate: str = "auto"
    window_seconds: int
    events: int | None = None
    headroom: float = 1.1


def render_baseline_plan(places: DemoPlaces, rate_per_minute: float, *, window_seconds: int) -> str:
    """The plan of the reference run: a fixed rate in a fresh scope, without a required multiplier."""
    plan = _render_plan(places, _DemoRun(phase="M10.E", rate=f"{rate_per_minute:g}", window_seconds=window_seconds))
    return plan + f"gates: {{admit_ratio: 0.995, {_OFFERED}}}\n"


def render_burst_plan(
    places: DemoPlaces,
    baseline: Path,
    *,
    window_seconds: int,
    multiplier: float = MULTIPLIER,
    headroom: float = HEADROOM,
) -> str:
    """The plan of the burst: so many times the baseline with headroom, in a fresh scope."""
    plan = _render_plan(places, _DemoRun(phase="M10.F", window_seconds=window_seconds, headroom=headroom))
    return plan + _render_gates(f"{{file: {baseline}, max_age: 1h}}", multiplier)


def render_replay_plan(
    places: DemoPlaces, reference: tuple[int, float], *, scope: str, events: int, window_seconds: int
) -> str:
    """The plan of the rerun: in the same scope again, it sends only events that the scope has admitted already.

    `reference`: admits and seconds of the reference run, whose document is of another profile.
    """
    admits, seconds = reference
    figures = f"{{admits: {admits}, seconds: {seconds}, source: the reference run of this demo}}"
    run = _DemoRun(phase="M10.F", scope=scope, profile="replay", window_seconds=window_seconds, events=events)
    return _render_plan(places, run) + _render_gates(figures, MULTIPLIER)


def _render_gates(baseline: str, multiplier: float) -> str:
    return f"baseline: {baseline}\ngates: {{multiplier: {multiplier}, admit_ratio: 0.995, {_OFFERED}}}\n"


def render_common(places: DemoPlaces, phase: str, rate: str, window_seconds: int) -> str:
    """What every plan of the demo has: a steady load in a fresh scope, without gates and facts."""
    return _render_common(places, _DemoRun(phase=phase, rate=rate, window_seconds=window_seconds))


def _render_plan(places: DemoPlaces, run: _DemoRun) -> str:
    return _render_common(places, run) + _FACTS.format(prefix=run.phase.replace(".", ""))


def _render_common(places: DemoPlaces, run: _DemoRun) -> str:
    return _COMMON.format(
        phase=run.phase,
        scope=run.scope,
        locustfile=places.locustfile,
        host=places.host,
        profile=run.profile,
        rate=run.rate,
        headroom=run.headroom,
        source=f"  source_events: {run.events}\n" if run.events is not None else "",
        cap=run.window_seconds + 120,
        window=run.window_seconds,
        runs=places.runs,
    )
