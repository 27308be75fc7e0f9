"""A plan's baseline and prior: read and checked before a launch, and refused where they do not hold."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors
from burst.domain.documents import gate_records, models
from burst.domain.preflight import findings
from burst.domain.verdict import baselines
from burst.wiring import inputs, preparing
from burst.wiring.preflight import checks
from burst.wiring.targets import local_terms
from tests import cases, promoting
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

FIRST = evidencing.run_id(1)
INLINE = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
EVIDENCE = {"run_control": "s3://evidence/run_control", "run_scoped": "s3://evidence/runs"}
HELD = evidencing.published(evidencing.case(FIRST, passing=False))


def prepared(tmp_path: Path, **plan: object) -> preparing.Prepared:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(cases.plan_value(**plan)))
    return preparing.prepare(preparing.RunRequest(plan_file=path), cases.moment(0))


def check(name: str, found: preparing.Prepared, warnings: Mapping[str, str]) -> findings.Finding:
    """The finding of one preflight check."""
    listed = checks.list_checks(
        found.plan,
        problems={},
        baseline=None,
        open_source=lambda: pytest.fail("nothing is counted"),
        signer=None,
        clock=system_clock.SystemClock(),
        warnings=warnings,
    )
    finding = next(check for check in listed if check.name == name).ask()
    assert isinstance(finding, findings.Finding)
    return finding


@pytest.mark.parametrize("ending", ["", f"/{SNAPSHOT}"], ids=["run", "snapshot"])
def test_a_rerun_takes_its_baseline_and_its_prior_from_s3(cloud: Cloud, tmp_path: Path, ending: str) -> None:
    prior = evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{FIRST}", HELD)
    baseline = evidencing.on_s3(cloud.s3, f"{cloud.place}/baselines", {"m10_e.json": cases.baseline()})

    found = prepared(
        tmp_path, baseline={"file": f"{baseline}/m10_e.json"}, rerun=cases.rerun("B1", prior=f"{prior}{ending}")
    )

    assert found.prior is not None
    assert (found.prior.snapshot, found.prior.plan) == (HELD[SNAPSHOT], HELD["plan.json"])
    assert found.baseline_content == cases.baseline()
    assert found.plan.rerun is not None
    assert found.plan.rerun.prior_sha256 == canonical.digest(HELD[SNAPSHOT])


def test_a_prior_on_s3_whose_evidence_fails_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    prior = evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{FIRST}", {**HELD, cases.METRICS: b"{}"})

    with pytest.raises(errors.Refused, match=r"M10F-B4.*corrupt.*nothing was launched"):
        prepared(tmp_path, baseline=INLINE, rerun=cases.rerun("B1", prior=prior))


def test_a_baseline_on_s3_that_is_not_there_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(errors.Refused, match=r"M10F-B5.*is not there; nothing was launched"):
        prepared(tmp_path, baseline={"file": f"{cloud.place}/nothing.json"})


def test_a_fact_is_read_from_s3_where_it_stands(cloud: Cloud, tmp_path: Path) -> None:
    place = evidencing.on_s3(cloud.s3, f"{cloud.place}/facts", {"caught_up.json": b'{"max_lag": 7}'})

    found = prepared(
        tmp_path,
        baseline=INLINE,
        facts=[
            {
                "blocker": "M10F-B7",
                "name": "max_lag",
                "document": f"{place}/caught_up.json",
                "path": "/max_lag",
                "at_most": 10,
            }
        ],
    )

    assert inputs.document(found.plan.facts[0].address(found.plan.scope)) == b'{"max_lag": 7}'
    with pytest.raises(errors.EvidenceIncomplete, match=r"nothing\.json is not there"):
        inputs.document(f"{place}/nothing.json")


@pytest.mark.parametrize("ending", ["", f"/{SNAPSHOT}"], ids=["run", "snapshot"])
def test_a_prior_on_this_machine_is_verified_whole_even_where_only_its_snapshot_is_named(
    tmp_path: Path, ending: str
) -> None:
    folder = evidencing.folder(tmp_path, FIRST, {**HELD, cases.METRICS: b"{}"})

    with pytest.raises(errors.Refused, match=r"M10F-B4.*corrupt.*nothing was launched"):
        prepared(tmp_path, baseline=INLINE, rerun=cases.rerun("B1", prior=f"{folder}{ending}"))


def test_a_prior_that_rests_on_one_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    second = evidencing.published(evidencing.case(evidencing.run_id(2), passing=False, prior=HELD[SNAPSHOT]))
    folder = evidencing.folder(tmp_path, evidencing.run_id(2), second)

    with pytest.raises(errors.Refused, match=rf"M10F-B4.*unknown: prior {FIRST} is not-here.*nothing was launched"):
        prepared(tmp_path, baseline=INLINE, rerun=cases.rerun("B1", prior=str(folder)))


def test_a_snapshot_alone_is_taken_on_its_word_and_preflight_says_so(tmp_path: Path) -> None:
    (tmp_path / "prior.json").write_bytes(HELD[SNAPSHOT])
    folder = evidencing.folder(tmp_path, FIRST, HELD)

    def said(prior: Path) -> tuple[findings.FindingStatus, str]:
        found = prepared(tmp_path, baseline=INLINE, rerun=cases.rerun("B1", prior=str(prior)))
        finding = check("prior", found, {})
        return finding.status, finding.seen

    alone, whole = said(tmp_path / "prior.json"), said(folder)

    assert alone[0] is findings.FindingStatus.WARNING
    assert "taken on its word" in alone[1]
    assert whole == (findings.FindingStatus.PASSED, "its evidence holds")


def test_preflight_and_plan_warn_of_other_terms_before_anything_is_launched(tmp_path: Path) -> None:
    folder = evidencing.folder(tmp_path, FIRST, HELD)
    same, weaker = (
        prepared(tmp_path, baseline=INLINE, gates={"multiplier": multiplier, "admit_ratio": 0.995}, rerun=rerun)
        for multiplier in (3.0, 0.1)
        for rerun in [cases.rerun("B1", prior=str(folder))]
    )

    assert "baseline" in same.contract_problem  # the prior's is a document, with another checksum
    assert "gates.multiplier" not in same.contract_problem
    assert "gates.multiplier 3 -> 0.1" in weaker.contract_problem


PROGRAM = {"profile": "steady", "locustfile": "/srv/burst/locustfiles/ingest.py", "command": None}
OWN_LOAD = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 3000}


@pytest.mark.parametrize(
    ("profile", "environment", "target", "words"),
    [
        pytest.param({}, {}, {}, None, id="the same program on the same machine"),
        pytest.param({"rate_per_minute": 1000, "tasks": 1}, {}, {}, None, id="rate and tasks are meant to differ"),
        pytest.param({"profile": "replay"}, {}, {}, "load.profile steady, was replay", id="another profile"),
        pytest.param(
            {"profile": None, "locustfile": None, "command": "push"},
            {},
            {},
            "load.command none, was push; load.locustfile locustfiles/ingest.py, was none; load.profile steady,"
            " was none",
            id="a command",
        ),
        pytest.param({}, {"cpus": 999}, {}, f"cpus {os.cpu_count()}, was 999", id="another machine"),
        pytest.param({}, {"cpus": 999}, cases.ECS, None, id="tasks of a machine that nobody knows yet"),
        pytest.param({"profile": "replay"}, {}, cases.ECS, "load.profile steady, was replay", id="a profile on ECS"),
    ],
)
def test_preflight_refuses_a_burst_that_is_not_like_its_reference_run(
    tmp_path: Path, profile: cases.Value, environment: cases.Value, target: cases.Value, words: str | None
) -> None:
    found = _with_baseline(tmp_path, profile, environment, target)

    if words is None:
        assert check("baseline", found, found.warnings).seen == "it can be used"
        return
    assert f"the burst is not like its reference run: {words}; nothing was launched" in str(found.problems["baseline"])
    with pytest.raises(errors.Refused, match=r"M10F-B5: baseline .*not like its reference run"):
        preparing.prepare(preparing.RunRequest(plan_file=tmp_path / "plan.json"), cases.moment(0))


MIX = {"malformed": "1%", "templates": [{"name": "order", "bytes": 420}]}


def test_preflight_refuses_a_burst_of_other_events_than_its_reference_run(tmp_path: Path) -> None:
    mixed = OWN_LOAD | {"events": MIX}
    measured = baselines.describe_load(cases.plan(load=mixed))

    same = _with_baseline(tmp_path, measured, {}, {}, load=mixed)
    others = (
        _with_baseline(tmp_path, {}, {}, {}, load=mixed),
        _with_baseline(tmp_path, measured, {}, {}, load=OWN_LOAD),
        _with_baseline(tmp_path, measured, {}, {}, load=OWN_LOAD | {"events": MIX | {"malformed": "2%"}}),
    )

    assert "baseline" not in same.problems
    for other in others:
        assert "the burst is not like its reference run: load.events " in str(other.problems["baseline"])


def _with_baseline(
    tmp_path: Path, profile: cases.Value, environment: cases.Value, target: cases.Value, **plan: object
) -> preparing.Prepared:
    """A plan whose baseline is of this profile and environment."""
    content = cases.baseline(profile=PROGRAM | profile, environment=local_terms.fingerprint() | environment)
    (tmp_path / "baseline.json").write_bytes(content)
    value = cases.plan_value(
        **{
            "baseline": {"file": str(tmp_path / "baseline.json")},
            "load": OWN_LOAD,
            "target": {"kind": "local", "tasks": 2} | target,
            "evidence": EVIDENCE if target else None,
            **plan,
        }
    )
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(value))
    return preparing.examine(preparing.RunRequest(plan_file=path), cases.moment(0))


@pytest.mark.parametrize("name", ["python", "burst"])
def test_another_version_of_python_or_burst_is_a_warning_alone(tmp_path: Path, name: str) -> None:
    found = _with_baseline(tmp_path, {}, {name: "0.0.1"}, {})
    finding = check("baseline", found, found.warnings)

    assert not found.problems
    assert finding.status is findings.FindingStatus.WARNING
    assert "was 0.0.1" in finding.seen


def test_a_rerun_that_names_the_change_of_its_baseline_may_rest_on_another(tmp_path: Path) -> None:
    folder = evidencing.folder(tmp_path, FIRST, HELD)
    changes = [{"key": "baseline", "from": 1, "to": 2, "why": "the program was replaced"}]
    named, unnamed = (
        _with_baseline(tmp_path, {"profile": "replay"}, {}, {}, rerun=cases.rerun("B1", prior=str(folder), **more))
        for more in ({"changes": changes}, {})
    )

    assert "baseline" not in named.problems
    assert check("baseline", named, named.warnings).status is findings.FindingStatus.WARNING
    assert "baseline" in unnamed.problems


def test_a_baseline_of_another_environment_is_refused_where_it_says_of_which_it_is(tmp_path: Path) -> None:
    other = _with_baseline(tmp_path, {}, {"environment": "dev", "target": "local"}, {})
    same = _with_baseline(tmp_path, {}, {"environment": "ci", "target": "local"}, {})

    assert "environment ci, was dev" in str(other.problems["baseline"])
    assert same.problems == {}


def _with_mode(tmp_path: Path, digest: str, *contents: bytes) -> preparing.Prepared:
    """A plan that names a promotion by this digest, and files of these bytes."""
    files = [tmp_path / f"record_{number}.json" for number, _ in enumerate(contents)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    gates = {
        "multiplier": 3.0,
        "admit_ratio": 0.995,
        "latency_p95_ms": 400,
        "modes": {"latency_p95_ms": {"mode": "required", "promoted_by": digest}},
        "records": [str(file) for file in files],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(cases.plan_value(baseline=INLINE, gates=gates)))
    return preparing.examine(preparing.RunRequest(plan_file=path), cases.moment(0))


def test_a_run_begins_with_the_promotions_that_its_plan_names(tmp_path: Path) -> None:
    content = promoting.judge_block(promoting.STEADY).content()

    found = _with_mode(tmp_path, canonical.digest(content), content)

    assert found.problems == {}
    assert found.gate_records is not None
    assert models.read(gate_records.GateRecords, found.gate_records).contents == {canonical.digest(content): content}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda record: record, "not among the records", id="another one"),
        pytest.param(lambda record: record + b" ", "not the canonical form", id="spaced"),
        pytest.param(lambda record: b"{}", "schema None is not known", id="no record"),
        pytest.param(lambda record: b"{", "not valid JSON", id="no JSON"),
    ],
)
def test_a_record_that_is_not_the_one_named_is_refused_before_anything_is_launched(
    tmp_path: Path, spoil: Callable[[bytes], bytes], words: str
) -> None:
    found = _with_mode(tmp_path, "0" * 64, spoil(promoting.judge_block(promoting.STEADY).content()))

    assert words in str(found.problems["gate-modes"])
    assert str(found.problems["gate-modes"]).startswith("M10F-B4: gates.")
