"""The runs that the pages name: `m10_pass` passed, `m10_killed` has lost its controller, and so on.

Finished runs are made once for all pages, side by side, and each page works on a copy. Those that are still at work, or
were left in the middle, are made in the page's own folder.
"""

import json
import re
import shutil
import signal
from collections.abc import Callable, Collection, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from burst.domain.plan import catalogues
from burst.kit import aws
from tests import fixtures_aws, promoting, waiting
from tests.faults import controller_driver, stage
from tests.matrix import stage as cloud_stage
from tests.runbooks import pages
from tests.task import guarding

SCOPE = "platform_20260219T234150Z"
TROUBLED_SCOPE = "platform_20260220T101500Z"
BUCKET = "burst-evidence"
EVIDENCE = {
    "run_control": f"s3://{BUCKET}/evidence/dev/run_control",
    "run_scoped": f"s3://{BUCKET}/evidence/runs",
}
PLAYED_SECONDS = 150.0 * waiting.SLOWEST
CAP_SECONDS = 90.0
PATIENT = {"start_timeout": "60s"}
"""Room for a busy machine: these runs show a verdict each, and no speed."""

_NAMED = re.compile(r"\bm10_[a-z]+\b")
Changes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where runs are made: a folder of this machine, and the simulated AWS."""

    here: stage.Stage
    aws: cloud_stage.Stage

    def run(self, name: str, plan: Path, *, code: int) -> stage.Ran:
        """A run of a plan on this machine, to its end."""
        answer = self.here.burst("run", plan, "--execution-id", name, "--json", seconds=PLAYED_SECONDS)
        assert answer.code == code, f"{name} ended with {answer.code}: {answer.err}"
        return self.ran(name)

    def begin(self, name: str, plan: Path, *, fate: controller_driver.Fate = ()) -> tuple[stage.Command, stage.Ran]:
        """A run of a plan on this machine, at GO."""
        command = self.here.start("run", plan, "--execution-id", name, "--json", fate=fate)
        ran = self.ran(name)

        def going() -> bool:
            assert command.code() is None, f"{name} ended before GO: {command.err.read_text()}"
            return ran.event("go-given") is not None

        waiting.until(going, seconds=150, what=f"GO of {name}")
        return command, ran

    def ran(self, name: str) -> stage.Ran:
        """A run of this machine by its name."""
        return stage.Ran(folder=self.here.runs / name)

    def plan(self, changes: Changes | None = None, *, scope: str = "fresh", **seconds: float) -> Path:
        """A plan for this machine, which asks about B2, B6 and B7 as the example plans do."""
        facts = yaml.safe_load((pages.FOLDER / "plans" / "local.yaml").read_text())["facts"]
        return self.planned({"scope": scope, "facts": facts}, changes, **seconds)

    def planned(self, sections: Mapping[str, object], changes: Changes | None = None, **seconds: float) -> Path:
        """The fault tests' plan with whole sections replaced; None takes one away."""
        given = {**(changes or {})}
        given["budget"] = {**PATIENT, **given.get("budget", {})}
        path = self.here.plan(given, **{"cap": CAP_SECONDS, **seconds})
        value = {**json.loads(path.read_text()), **sections}
        path.write_text(json.dumps({name: section for name, section in value.items() if section is not None}))
        return path


def named(page: pages.Page) -> frozenset[str]:
    """The runs that a page's commands name."""
    words = {word for command in page.commands for word in _NAMED.findall(command.text)}
    return frozenset(words & (FINISHED.keys() | UNFINISHED.keys()))


def make_finished(names: Collection[str], site: Site) -> None:
    """Makes finished runs, side by side; those on AWS one after the other, as a fault of one would meet the next.

    `m10_pass` begins before all others, so that no attempt before it was on HOLD, which its pages would show.
    """
    on_aws = [name for name in names if name in _ON_AWS]
    here = {*names, "m10_pass"}.intersection(FINISHED).difference(on_aws)
    with futures.ThreadPoolExecutor(max_workers=5) as pool:
        started = [
            pool.submit(FINISHED[name], site, name)
            for name in sorted(here, key=lambda name: (name != "m10_pass", name))
        ]
        started.append(pool.submit(lambda: [FINISHED[name](site, name) for name in on_aws]))
        for one in started:
            one.result()


def copy(names: Collection[str], site: Site, folder: Path) -> None:
    """Copies finished runs into a page's folder."""
    for name in names:
        source = (site.aws.folder / "runs" if name in _ON_AWS else site.here.runs) / name
        shutil.copytree(source, folder / "runs" / name)


# Finished runs


def _passed(site: Site, name: str) -> None:
    """It is long enough to be admitted with what `m10_hold` sends, however late it begins to send."""
    site.run(name, site.plan(stage.UNHURRIED, scope=SCOPE, window=6.0), code=0)


def _held(site: Site, name: str) -> None:
    """It sends again what `m10_pass` was admitted with, by the terms of its rerun as the pages play that."""
    rerun = yaml.safe_load((pages.FOLDER / "plans" / "local-rerun.yaml").read_text())
    _wait_for_passed(site)
    terms = {
        "scope": SCOPE,
        **{section: rerun[section] for section in ("facts", "gates", "baseline", "layers")},
        "receipts": {**rerun["receipts"], "dsn": f"env:{stage.DSN_NAME}"},
        "budget": {**rerun["budget"], **PATIENT, "min_window": "3s"},
    }
    load = {"profile": "replay", "source_events": 64, "rate": 1500}
    site.run(name, site.planned(terms, {"load": load}), code=3)


def _troubled(site: Site, name: str) -> None:
    """A publish is left ambiguous with its receipt unwritten, and one task is killed in the middle."""
    plan = site.plan(scope=TROUBLED_SCOPE, window=60.0)
    command, ran = site.begin(name, plan, fate=(controller_driver.HOLD_AT_GO,))
    with psycopg.connect(site.here.dsn, autocommit=True) as connection:
        connection.execute(
            "insert into admissions (dedupe_key, state, platform_run_id, event_id, receipt_write_failed)"
            " values ('ambiguous', 'PUBLISH_AMBIGUOUS', %s, 'ambiguous', true)",
            (TROUBLED_SCOPE,),
        )
    waiting.until(ran.programs, what="its programs")[0].send_signal(signal.SIGKILL)
    command.go_on()
    assert command.wait(PLAYED_SECONDS).code == 3


def _overran(site: Site, name: str) -> None:
    """Its tasks ignore TERM, and its grace is longer than its budget."""
    load = {
        "command": list(guarding.IGNORES_TERM),
        "waits_for_go": False,
        "environment": {"STARTED": str(site.here.folder / "overran")},
    }
    for cap in (10.0, 40.0):  # the longer one for a machine that comes to no GO in the other
        changes: Changes = {"load": load, "budget": {"stop_grace": f"{cap + 2:g}s"}}
        if site.run(name, site.plan(changes, window=1.0, cap=cap), code=3).event("go-given"):
            return
        shutil.rmtree(site.ran(name).folder)
    raise AssertionError(f"{name} came to no GO")


def _never_started(site: Site, name: str) -> None:
    """Its program ends at once."""
    site.run(name, site.plan({"load": {"command": ["false"], "waits_for_go": True}}), code=3)


def _interrupted(number: signal.Signals, code: int) -> "Maker":
    def make(site: Site, name: str) -> None:
        command, _ = site.begin(name, site.plan(window=30.0))
        command.signal(number)
        assert command.wait(PLAYED_SECONDS).code == code

    return make


def _reference(site: Site, name: str) -> None:
    """A reference run, which asks for no multiplier."""
    gates = {"admit_ratio": 0.995}
    reference = {"phase": "M10.E", "facts": stage.facts("M10E"), "gates": gates, "baseline": None}
    site.run(name, site.planned(reference), code=0)


def _wait_for_passed(site: Site) -> stage.Ran:
    """`m10_pass`, once it is finished: it is made beside the others."""
    passed = site.ran("m10_pass")
    waiting.until(lambda: passed.event("run-finished"), seconds=150, what="m10_pass to be finished")
    return passed


def _of_kind(phase: str, kind: catalogues.Kind) -> "Maker":
    """A phase of a kind that asks about each of its blockers, and is answered no."""

    def make(site: Site, name: str) -> None:
        ids = [f"{phase.replace('.', '')}-{short}" for short in catalogues.CATALOGUES[kind].shorts]
        asked = [{"blocker": blocker, "name": "asked", "sql": "select 1", "equals": 0} for blocker in ids]
        sections: dict[str, object] = {"kind": kind.value, "phase": phase, "facts": asked, "baseline": None}
        if kind is catalogues.Kind.REPRODUCIBILITY:
            keys = "select string_agg(distinct event_id, ',') from receipts where platform_run_id = :scope"
            sections["reproduces"] = {"snapshot": str(_wait_for_passed(site).folder), "keyset": {"sql": keys}}
        site.run(name, site.planned({**sections, "gates": {"offered_load": 0.1}}), code=3)

    return make


def _drilled(undo: str, code: int) -> "Maker":
    """A drill that changes nothing, and a command that takes it back, or does not."""

    def make(site: Site, name: str) -> None:
        rule = {"blocker": "M10F-B7", "aggregate": "min", "over": "after recovery", "at_least": 1}
        well = {"name": "well", "sql": "select 1", "rules": [rule]}
        drill = {
            "name": "pause",
            "at": "2s",
            "command": ["true"],
            "undo": [undo],
            "recover_within": "10s",
            "recovered_when": {"series": "well", "equals": 1, "sustained": "3s"},
        }
        observe = {"every": "3s", "settle": "500ms", "series": [well]}
        plan = site.plan(stage.UNHURRIED, window=16.0)
        sections = {**stage.read_document(plan), "observe": observe, "during": [drill]}
        site.run(name, stage.write_plan(plan, sections), code=code)

    return make


def _unpublished(site: Site, name: str) -> None:
    """S3 goes down as its evidence is to be published."""
    ran = _on_aws(site, name)
    plan = _aws_plan(site, ran)
    strike = site.aws.strike("publish-intended", "s3-down")
    assert site.aws.begin(ran, plan, strikes=[strike]).ended(PLAYED_SECONDS) == 5
    site.aws.cloud.world.faults.disarm("s3-down")


def _conflicting(site: Site, name: str) -> None:
    """While it bursts, something else is put where its evidence is to go."""
    ran = _on_aws(site, name)
    command = site.aws.begin(ran, _aws_plan(site, ran))
    waiting.until(lambda: ran.event("go-given"), seconds=150, what=f"GO of {name}")
    key = f"evidence/dev/run_control/{name}/m10_f_task_result.json"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b'{"schema":"burst.task-result/v1"}')
    assert command.ended(PLAYED_SECONDS) == 5


def _aws_plan(site: Site, ran: stage.Ran) -> Path:
    return site.aws.plan(ran, {"evidence": EVIDENCE, "budget": PATIENT}, cap=CAP_SECONDS)


def _on_aws(site: Site, name: str) -> stage.Ran:
    return stage.Ran(folder=site.aws.folder / "runs" / name)


Maker = Callable[[Site, str], Any]


def _recorded(number: int) -> Maker:
    """One of five runs of which documents are enough: latencies that are alike, and rates that grow by 8 % each."""

    def make(site: Site, name: str) -> None:
        admits = round(19_000 * 1.08**number)
        promoting.make_run(site.here.runs, number, promoting.STEADY[number], admits=admits, name=name)

    return make


_ON_AWS: Mapping[str, Maker] = {"m10_unpublished": _unpublished, "m10_conflict": _conflicting}

FINISHED: Mapping[str, Maker] = {
    "m10_pass": _passed,
    "m10_hold": _held,
    "m10_troubled": _troubled,
    "m10_overrun": _overran,
    "m10_unstarted": _never_started,
    "m10_interrupted": _interrupted(signal.SIGINT, 130),
    "m10_terminated": _interrupted(signal.SIGTERM, 143),
    "m10_reference": _reference,
    "m10_window": _of_kind("M10.E", catalogues.Kind.WINDOW),
    "m10_soak": _of_kind("M10.G", catalogues.Kind.SOAK),
    "m10_recovery": _of_kind("M10.H", catalogues.Kind.RECOVERY),
    "m10_reproducibility": _of_kind("M10.I", catalogues.Kind.REPRODUCIBILITY),
    "m10_drilled": _drilled("true", 0),
    "m10_stuck": _drilled("false", 6),
    "m10_drill": _of_kind("M10.D", catalogues.Kind.DRILL),
    **{f"m10_{day}": _recorded(number) for number, day in enumerate(("mon", "tue", "wed", "thu", "fri"))},
    **_ON_AWS,
}
"""Made once. What is unpublished has its tasks gone and its verdict reached."""


# Runs at work, or left in the middle


def _killed(site: Site, name: str) -> None:
    """Its controller is gone; its tasks burst on, for as long as a page may take to come to them."""
    command, _ = site.begin(name, site.plan({"layers": {"lease_ttl": "3m"}}, window=60.0, cap=200.0))
    command.kill()


def _elsewhere(site: Site, name: str) -> None:
    """A run on AWS whose controller, on another machine, is gone."""
    ran = stage.Ran(folder=site.aws.folder / "elsewhere" / name)
    plan = _aws_plan(site, ran)
    command = site.aws.begin(ran, plan, strikes=[site.aws.strike("go-given", "controller-kill")])
    assert command.ended(PLAYED_SECONDS) == stage.SIGKILLED


def _orphan(site: Site, name: str) -> None:
    """A task of burst whose deadline nobody knows. Not in the cluster of the example plan, whose preflight another
    page may show meanwhile: it refuses beside such a task."""
    site.aws.cloud.ecs.create_cluster(clusterName="burst-ci")
    definition = site.aws.cloud.register(fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM))
    site.aws.cloud.start_task(definition, cluster="burst-ci", startedBy=f"burst/{name}")


def _scaled(site: Site, name: str) -> None:
    """A run that died and left a service of the target scaled."""
    cloud = site.aws.cloud
    fixtures_aws.leave_scaled(
        cloud,
        name,
        cluster="burst-dev",
        definition=cloud.register(fixtures_aws.container()),
        service="ingest-writer",
        run_control=EVIDENCE["run_control"],
    )


UNFINISHED: Mapping[str, Maker] = {
    "m10_killed": _killed,
    "m10_elsewhere": _elsewhere,
    "m10_orphan": _orphan,
    "m10_scaled": _scaled,
}
"""Made for each page that names them."""
