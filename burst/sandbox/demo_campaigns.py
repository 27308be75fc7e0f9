"""The campaign of `burst demo --campaign`: its file and its plans, against the embedded Postgres and the gateway.

Publishes of another scope are stuck in flight while the burst runs, so that it is on HOLD. They are resolved, and its
rerun, bounded to that blocker, passes.
"""

from pathlib import Path

import psycopg

from burst.sandbox import demo_plans

WINDOW_SECONDS = 15
BURST_SECONDS = 12
REOPENED, ONLY = "burst", ("B7",)
STUCK = 11
"""One more than the burst's plan allows."""
_STUCK_SCOPE = "platform_stuck"
_FACT = """\
  - blocker: M10F-B7
    name: stuck_publishes
    sql: "select count(*) from admissions where state = 'PUBLISH_IN_FLIGHT' and platform_run_id <> :scope"
    at_most: 10
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
  - name: rollup
    rollup:
      phase: M10.J
      advance: ADVANCE_DEMO
      families: {{semantic: [window, burst], scale: [window, burst]}}
      require: [semantic, scale]
    depends_on: [burst]
"""


def write_campaign(places: demo_plans.DemoPlaces, folder: Path) -> Path:
    """Writes the campaign file and its plans into a folder, and returns the path of the file."""
    burst = demo_plans.render_burst_plan(places, folder / "baseline.json", window_seconds=BURST_SECONDS)
    burst = burst.replace("facts:\n", f"facts:\n{_FACT}").replace("multiplier: 3.0", "multiplier: 1.5")
    burst = burst.replace("rate: auto\n", "rate: auto\n  headroom: 1.5\n")
    plans = {
        "window.yaml": demo_plans.render_baseline_plan(places, window_seconds=WINDOW_SECONDS),
        "burst.yaml": burst,
        "campaign.yaml": _FILE.format(folder=folder, runs=places.runs),
    }
    for name, text in plans.items():
        (folder / name).write_text(text)
    return folder / "campaign.yaml"


def plant_stuck_publishes(dsn: str) -> None:
    """Leaves publishes of another scope in flight."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into admissions (dedupe_key, state, platform_run_id) "
            "select 'stuck-' || n, 'PUBLISH_IN_FLIGHT', %s from generate_series(1, %s) n",
            (_STUCK_SCOPE, STUCK),
        )


def resolve_stuck_publishes(dsn: str) -> None:
    """Resolves them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update admissions set state = 'ADMITTED' where platform_run_id = %s", (_STUCK_SCOPE,))
