"""The campaign of `burst demo --campaign`: its file and its plans, against the embedded Postgres and the gateway.

Every phase of a programme, in seconds. Publishes of another scope are stuck in flight while the burst runs: it is
on HOLD. They are resolved, and its rerun, bounded to that blocker, passes; the other phases follow, and their roll-up.
"""

import sys
from pathlib import Path

from burst.sandbox import demo_plans

RATE_PER_MINUTE = 6000
WINDOW_SECONDS = 12
STUCK_SECONDS = 2
REOPENED, ONLY = "burst", ("B7",)
_STUCK = "select count(*) from admissions where state = 'PUBLISH_IN_FLIGHT' and platform_run_id <> :scope"
_UNRESOLVED = "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
_TWICE = "select count(*) - count(distinct event_id) from admissions where platform_run_id = :scope"
_ADMITTED = "select count(*) from receipts where platform_run_id = :scope"
_KEYS = "select string_agg(distinct event_type, ',' order by event_type) from receipts where platform_run_id = :scope"

_WINDOW = f"""\
gates: {{min_admits: 300, contiguity: {{max_gap: 8s}}, offered_load: 0.5}}
facts:
  - {{blocker: M10E-B3, name: unresolved_publishes, equals: 0, sql: "{_UNRESOLVED}"}}
  - {{blocker: M10E-B6, name: duplicate_side_effects, equals: 0, sql: "{_TWICE}"}}
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


def write_campaign(places: demo_plans.DemoPlaces, folder: Path) -> Path:
    """Writes the campaign file and its plans into a folder, and returns the path of the file."""
    recovery = _RECOVERY.format(stuck=_STUCK, python=sys.executable, seconds=STUCK_SECONDS, unresolved=_UNRESOLVED)
    plans = {
        "window.yaml": _render(places, "window", "M10.E", _WINDOW),
        "burst.yaml": _render_burst(places, folder / "baseline.json"),
        "soak.yaml": _render(places, "soak", "M10.G", _SOAK),
        "recovery.yaml": _render(places, "recovery", "M10.H", recovery),
        "again.yaml": _render(places, "reproducibility", "M10.I", _AGAIN),
        "campaign.yaml": _FILE.format(folder=folder, runs=places.runs),
    }
    for name, text in plans.items():
        (folder / name).write_text(text)
    return folder / "campaign.yaml"


def _render(places: demo_plans.DemoPlaces, kind: str, phase: str, sections: str) -> str:
    rate = str(RATE_PER_MINUTE)
    return demo_plans.render_common(places, phase, rate, WINDOW_SECONDS) + f"kind: {kind}\n" + sections


def _render_burst(places: demo_plans.DemoPlaces, baseline: Path) -> str:
    """A burst that half of the machine would do for: it shows a HOLD and its reopening, and no speed."""
    plan = demo_plans.render_burst_plan(places, baseline, window_seconds=WINDOW_SECONDS, multiplier=1.2, headroom=1.8)
    return plan.replace("facts:\n", f"facts:\n{_FACT}")
