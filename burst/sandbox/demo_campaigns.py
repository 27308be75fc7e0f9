"""The campaign of `burst demo --campaign`: its file and its plans, against the embedded Postgres and the gateway.

Every phase of a programme, in seconds. Publishes of another scope are stuck in flight while the burst runs: it is
on HOLD. They are resolved, and its rerun, bounded to that blocker, passes; the other phases follow, and their roll-up.
The rate of all follows from what the machine was measured to reach, as that of `burst demo` does.
"""

import sys
from pathlib import Path

from burst.sandbox import demo_plans

MULTIPLIER, HEADROOM = 1.2, 1.8
"""Of the burst, which shows a HOLD and its reopening, and no speed."""
RATES = demo_plans.BaselineRates(burst_factor=MULTIPLIER * HEADROOM, least_per_minute=600.0, most_per_minute=6000.0)
WINDOW_SECONDS = 12
STUCK_SECONDS = 2
REOPENED, ONLY = "burst", ("B7",)
_STUCK = "select count(*) from admissions where state = 'PUBLISH_IN_FLIGHT' and platform_run_id <> :scope"
_UNRESOLVED = "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
_TWICE = "select count(*) - count(distinct event_id) from admissions where platform_run_id = :scope"
_ADMITTED = "select count(*) from receipts where platform_run_id = :scope"
_KEYS = "select string_agg(distinct event_type, ',' order by event_type) from receipts where platform_run_id = :scope"

_WINDOW = """\
gates: {{min_admits: {min_admits}, contiguity: {{max_gap: 8s}}, offered_load: 0.5}}
facts:
  - {{blocker: M10E-B3, name: unresolved_publishes, equals: 0, sql: "{unresolved}"}}
  - {{blocker: M10E-B6, name: duplicate_side_effects, equals: 0, sql: "{twice}"}}
"""
_SHARES = "gates: {decision_shares: {QUARANTINE: {at_most: 0.10}}, offered_load: 0.5}\n"
_OBSERVE = f"""\
observe:
  every: 3s
  settle: 500ms
  series:
    - name: max_lag
      sql: "{_UNRESOLVED}"
      rules: [{{{{blocker: {{lag}}, aggregate: max, at_most: 1000, over: last 8s}}}}]
    - name: checkpoint
      sql: "{_ADMITTED}"
      rules: [{{{{blocker: {{moves}}, monotonic: true}}}}, {{{{blocker: {{moves}}, max_stall: 10s}}}}]
facts:
  - {{{{blocker: {{drift}}, name: duplicate_side_effects, equals: 0, sql: "{_TWICE}"}}}}
"""
_SOAK = _SHARES + _OBSERVE.format(lag="M10G-B2", moves="M10G-B3", drift="M10G-B5")
_RECOVERY = """\
gates: {{offered_load: 0.5}}
observe:
  every: 1s
  series:
    - name: stuck
      sql: "{stuck}"
      rules: [{{blocker: M10H-B3, aggregate: last, at_most: 10}}]
during:
  - name: stuck-publishes
    at: 2s
    command: ["{python}", -m, burst.sandbox.demo_faults, "{seconds}"]
    timeout: 20s
    recover_within: 7s
    recovered_when: {{series: stuck, at_most: 10, sustained: 2s}}
facts:
  - {{blocker: M10H-B3, name: unresolved_publishes, equals: 0, sql: "{unresolved}"}}
"""
_REPRODUCES = f"""\
reproduces:
  snapshot: runs
  shares_within: 0.05
  keyset: {{sql: "{_KEYS}"}}
"""
_AGAIN = _SHARES + _REPRODUCES + _OBSERVE.format(lag="M10I-B7", moves="M10I-B7", drift="M10I-B7")
_FACT = f"""\
  - {{blocker: M10F-B7, name: stuck_publishes, at_most: 10, sql: "{_STUCK}"}}
"""
_FILE = """\
schema: burst.campaign/v1
name: demo
environment: local
budget: {{max: 30m}}
evidence: {{local: {runs}}}
steps:
  - name: window
    plan: {folder}/window.yaml
  - name: baseline
    one_shot: {{command: [burst, baseline, make, "{{window.run}}", -o, {folder}/baseline.json], timeout: 60s}}
    depends_on: [window]
  - name: burst
    plan: {folder}/burst.yaml
    depends_on: [window, baseline]
    measures: [/burst_load_checks/achieved_multiplier/value]
  - name: soak
    plan: {folder}/soak.yaml
    depends_on: [burst]
  - name: recovery
    plan: {folder}/recovery.yaml
    depends_on: [soak]
  - name: reproducibility
    plan: {folder}/again.yaml
    depends_on: [soak, recovery]
    overrides: {{plan: {{reproduces.snapshot: "{{soak.run}}"}}}}
  - name: rollup
    depends_on: [reproducibility]
    rollup:
      phase: M10.J
      advance: ADVANCE_DEMO
      families:
        semantic: [window, burst]
        incident_drill: [recovery]
        scale: [window, burst, soak]
        reproducibility: [reproducibility]
"""


def write_campaign(places: demo_plans.DemoPlaces, folder: Path, rate_per_minute: float) -> Path:
    """Writes the campaign file and its plans, all but the burst's of one rate, and returns the path of the file."""
    sent = rate_per_minute / 60 * WINDOW_SECONDS
    window = _WINDOW.format(min_admits=int(sent / 4), unresolved=_UNRESOLVED, twice=_TWICE)
    recovery = _RECOVERY.format(stuck=_STUCK, python=sys.executable, seconds=STUCK_SECONDS, unresolved=_UNRESOLVED)

    def render(kind: str, phase: str, sections: str) -> str:
        common = demo_plans.render_common(places, phase, f"{rate_per_minute:g}", WINDOW_SECONDS)
        return f"{common}kind: {kind}\n{sections}"

    plans = {
        "window.yaml": render("window", "M10.E", window),
        "burst.yaml": _render_burst(places, folder / "baseline.json"),
        "soak.yaml": render("soak", "M10.G", _SOAK),
        "recovery.yaml": render("recovery", "M10.H", recovery),
        "again.yaml": render("reproducibility", "M10.I", _AGAIN),
        "campaign.yaml": _FILE.format(folder=folder, runs=places.runs),
    }
    for name, text in plans.items():
        (folder / name).write_text(text)
    return folder / "campaign.yaml"


def _render_burst(places: demo_plans.DemoPlaces, baseline: Path) -> str:
    plan = demo_plans.render_burst_plan(
        places, baseline, window_seconds=WINDOW_SECONDS, multiplier=MULTIPLIER, headroom=HEADROOM
    )
    return plan.replace("facts:\n", f"facts:\n{_FACT}")
