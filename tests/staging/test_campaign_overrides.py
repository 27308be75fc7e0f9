"""Settings of a database that a step overrides are in effect while it runs, and put back on every way out."""

import json
import os
import sys
from pathlib import Path

import pytest

from burst.cli import main
from burst.domain.documents import models, override_tables
from tests.faults import controller_driver
from tests.staging import staging_driver
from tests.staging.conftest import Desk

LOOK = """\
import psycopg
with psycopg.connect({dsn!r}) as c:
    open({path!r}, "a").write(c.execute("show work_mem").fetchone()[0] + "\\n")
"""


def write_plan(desk: Desk, **changes: object) -> Path:
    """A plan without an ingest, which holds because nothing is admitted. Its first command looks at the setting."""
    looked = desk.folder / "look.py"
    looked.write_text(LOOK.format(dsn=desk.dsn, path=str(desk.folder / "seen")))
    value = {
        "schema": "burst.plan/v1",
        "phase": "M10.F",
        "scope": "fresh",
        "environment": "local",
        "target": {"kind": "local", "tasks": 1},
        "load": {"command": [sys.executable, "-c", "import time; time.sleep(30)"]},
        "layers": {"require": ["guard", "lease"]},
        "budget": {"max": "20s", "min_window": "1s", "stop_grace": "1s"},
        "receipts": {"dsn": "env:STAGE_DSN", "settle": "100ms"},
        "gates": {"admit_ratio": 0.9},
        "before": [{"name": "look", "command": [sys.executable, str(looked)], "timeout": "20s"}],
        "evidence": {"local": str(desk.folder / "runs")},
        **changes,
    }
    path = desk.folder / "plan.json"
    path.write_text(json.dumps(value))
    return path


def write_campaign(desk: Desk, plan: Path, settings: str = "{work_mem: 32MB}") -> Path:
    return desk.write(
        f"""\
schema: burst.campaign/v1
name: tuning
environment: local
budget: {{max: 1h}}
evidence: {{local: {desk.folder}/runs}}
steps:
  - name: tuned
    plan: {plan}
    overrides: {{concurrency: 2, database: {{dsn: "env:STAGE_DSN", settings: {settings}}}}}
    measures: [/overall_pass, /nothing/there]
""",
        "campaign.yaml",
    )


def find_campaign(desk: Desk) -> Path:
    (folder,) = (desk.folder / "runs" / "campaigns").iterdir()
    return folder


def test_a_setting_is_in_effect_while_the_step_runs_and_is_put_back_before_it_holds(desk: Desk) -> None:
    before = desk.snapshot().content()

    code = main.main(["campaign", "run", str(write_campaign(desk, write_plan(desk))), "--json", "--quiet"])

    shown = json.loads(desk.capture.readouterr().out)
    assert (code, shown["pause"]["kind"]) == (3, "hold")
    assert (desk.folder / "seen").read_text() == "32MB\n"
    assert desk.snapshot().content() == before
    (run_id,) = [attempt["run_id"] for attempt in shown["steps"][0]["attempts"]]
    plan = json.loads((desk.folder / "runs" / run_id / "plan.json").read_bytes())
    assert plan["target"]["tasks"] == 2
    table = models.read(override_tables.OverrideTable, (find_campaign(desk) / "table_tuned_1.json").read_bytes())
    assert [(row.settings, row.database, row.verdict, row.measures) for row in table.rows] == [
        (["target.tasks=2"], {"work_mem": "32MB"}, "HOLD", {"/overall_pass": False, "/nothing/there": None})
    ]


def test_a_setting_is_put_back_where_preflight_refuses_the_step(desk: Desk) -> None:
    before = desk.snapshot().content()
    plan = write_plan(desk, receipts={"dsn": "env:STAGE_DSN", "table": "nowhere", "settle": "100ms"})

    code = main.main(["campaign", "run", str(write_campaign(desk, plan)), "--json", "--quiet"])

    assert (code, json.loads(desk.capture.readouterr().out)["pause"]["kind"]) == (4, "failed")
    assert not (desk.folder / "seen").exists()
    assert desk.snapshot().content() == before


@pytest.mark.parametrize("settings", ["{no_such_setting: '1'}", "{shared_buffers: 64MB}"])
def test_a_setting_that_the_server_does_not_take_launches_nothing(desk: Desk, settings: str) -> None:
    before = desk.snapshot().content()

    code = main.main(["campaign", "run", str(write_campaign(desk, write_plan(desk), settings)), "--json", "--quiet"])

    shown = json.loads(desk.capture.readouterr().out)
    assert (code, shown["pause"]["kind"], shown["steps"][0]["attempts"]) == (4, "entry", [])
    assert desk.snapshot().content() == before


@pytest.mark.parametrize("line", [3, 4, 5])
def test_a_campaign_killed_around_its_override_puts_it_back(desk: Desk, line: int) -> None:
    before, path = desk.snapshot().content(), write_campaign(desk, write_plan(desk))
    environment = {**os.environ, "STAGE_DSN": desk.dsn}
    death = controller_driver.Death(line=line, torn=False)
    code = staging_driver.run_until_killed(
        ["campaign", "run", str(path)], death, environment=environment, said=desk.folder / "said"
    )
    assert code == -9

    stopped = main.main(["campaign", "stop", str(find_campaign(desk)), "--json", "--quiet"])

    assert (stopped, json.loads(desk.capture.readouterr().out)["state"]) == (3, "stopped (exit 3)")
    assert desk.snapshot().content() == before
