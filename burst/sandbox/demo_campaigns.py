"""The campaign of `burst demo --campaign`: its file and its plans, against the embedded Postgres and the gateway.

The burst is asked for less load than it has to reach, so that it is on HOLD, and its bounded rerun passes.
"""

from pathlib import Path

from burst.sandbox import demo_plans

WINDOW_SECONDS = 15
BURST_SECONDS = 12
LOW_RATE_PER_MINUTE = 2 * demo_plans.BASELINE_RATE_PER_MINUTE
REOPENED = "burst"
ONLY = ("B1",)
SETTINGS = ("load.rate=auto",)
"""What the reopened step has otherwise."""

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
"""


def write_campaign(places: demo_plans.DemoPlaces, folder: Path) -> Path:
    """Writes the campaign file and its plans into a folder, and returns the path of the file."""
    plans = {
        "window.yaml": demo_plans.render_baseline_plan(places, window_seconds=WINDOW_SECONDS),
        "burst.yaml": demo_plans.render_burst_plan(
            places, folder / "baseline.json", window_seconds=BURST_SECONDS, rate=str(LOW_RATE_PER_MINUTE)
        ),
        "campaign.yaml": _FILE.format(folder=folder, runs=places.runs),
    }
    for name, text in plans.items():
        (folder / name).write_text(text)
    return folder / "campaign.yaml"
