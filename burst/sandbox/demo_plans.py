"""The plans of `burst demo`, against the embedded Postgres and the reference gateway.

The demo plays two plans. The first is a reference run, which makes the baseline. The second is a burst at three times
its rate with headroom, or with `replay` a rerun that sends only events that have been admitted before.
"""

from dataclasses import dataclass
from pathlib import Path

BASELINE_RATE_PER_MINUTE = 9000
DSN_NAME = "BURST_DEMO_DSN"
API_KEY_NAME = "BURST_DEMO_API_KEY"

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
{source}  api_key: env:BURST_DEMO_API_KEY
layers: {{require: [guard, sidecar, lease, controller], lease_ttl: 15s}}
budget: {{max: {cap}s, operator_cap: {cap}s, min_window: {window}s, start_timeout: 30s, stop_grace: 5s}}
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


def render_baseline_plan(places: DemoPlaces, *, window_seconds: int) -> str:
    """The plan of the reference run: a fixed rate in a fresh scope, without a required multiplier."""
    rate = str(BASELINE_RATE_PER_MINUTE)
    return _render_plan(places, "M10.E", "fresh", "steady", rate, window_seconds) + "gates: {admit_ratio: 0.995}\n"


def render_burst_plan(places: DemoPlaces, baseline: Path, *, window_seconds: int) -> str:
    """The plan of the burst: three times the baseline with headroom, in a fresh scope."""
    return _render_plan(places, "M10.F", "fresh", "steady", "auto", window_seconds) + _render_gates(
        f"{{file: {baseline}, max_age: 1h}}"
    )


def render_replay_plan(
    places: DemoPlaces, reference: tuple[int, float], *, scope: str, events: int, window_seconds: int
) -> str:
    """The plan of the rerun: in the same scope again, it sends only events that the scope has admitted already.

    `reference`: admits and seconds of the reference run, whose document is of another profile.
    """
    admits, seconds = reference
    figures = f"{{admits: {admits}, seconds: {seconds}, source: the reference run of this demo}}"
    return _render_plan(places, "M10.F", scope, "replay", "auto", window_seconds, events) + _render_gates(figures)


def _render_gates(baseline: str) -> str:
    return f"baseline: {baseline}\ngates: {{multiplier: 3.0, admit_ratio: 0.995}}\n"


def render_common(places: DemoPlaces, phase: str, rate: str, window_seconds: int) -> str:
    """What every plan of the demo has: a steady load in a fresh scope, without gates and facts."""
    return _render_common(places, phase, "fresh", "steady", rate, window_seconds)


def _render_plan(
    places: DemoPlaces, phase: str, scope: str, profile: str, rate: str, window_seconds: int, events: int | None = None
) -> str:
    common = _render_common(places, phase, scope, profile, rate, window_seconds, events)
    return common + _FACTS.format(prefix=phase.replace(".", ""))


def _render_common(
    places: DemoPlaces, phase: str, scope: str, profile: str, rate: str, window_seconds: int, events: int | None = None
) -> str:
    return _COMMON.format(
        phase=phase,
        scope=scope,
        locustfile=places.locustfile,
        host=places.host,
        profile=profile,
        rate=rate,
        source=f"  source_events: {events}\n" if events is not None else "",
        cap=window_seconds + 40,
        window=window_seconds,
        runs=places.runs,
    )
