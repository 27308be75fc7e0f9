"""Required phases and documents on S3: the newest run of a phase, a kind and a scope counts, verified where it lies."""

from typing import Any

import pytest

from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors, redaction
from burst.domain.documents import entry_answers
from burst.domain.plan import catalogues, entry_sections
from burst.domain.preflight import entry_gates, findings
from burst.wiring.preflight import entry_checks, required_phases
from tests import cases
from tests.evidence import evidencing
from tests.fixtures_aws import Cloud

NOW = cases.STARTED


def _put(cloud: Cloud, number: int, **case: Any) -> dict[str, bytes]:
    execution_id = evidencing.run_id(number)
    contents = evidencing.published(evidencing.case(execution_id, **case))
    evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{execution_id}", contents)
    return contents


def _find(cloud: Cloud, scope: str = cases.SCOPE, **changes: Any) -> entry_answers.PhaseSeen | None:
    value = {"name": "before", "place": f"{cloud.place}/control", "phase": "M10.F", **changes}
    section = entry_sections.RequiredPhaseSection.model_validate(value)
    return required_phases.find_phase(section, scope, NOW)


def test_the_newest_run_of_a_scope_is_seen_with_its_digest(cloud: Cloud) -> None:
    _put(cloud, 1)
    newest = _put(cloud, 2)
    _put(cloud, 3, scope="platform_other")

    seen = _find(cloud)

    assert seen is not None
    assert (seen.execution_id, seen.sha256) == (evidencing.run_id(2), canonical.digest(newest[evidencing.SNAPSHOT]))
    assert (seen.state, seen.overall_pass, seen.platform_run_id) == ("ok", True, cases.SCOPE)


def test_a_newest_run_on_hold_is_seen_and_no_older_one_in_its_place(cloud: Cloud) -> None:
    _put(cloud, 1)
    _put(cloud, 2, passing=False)

    seen = _find(cloud)

    assert seen is not None
    assert (seen.execution_id, seen.overall_pass, seen.blockers) == (evidencing.run_id(2), False, ["M10F-B1"])


def test_a_digest_names_a_run_of_whatever_age_and_scope(cloud: Cloud) -> None:
    first = _put(cloud, 1, scope="platform_first")
    _put(cloud, 2, passing=False)

    seen = _find(cloud, sha256=canonical.digest(first[evidencing.SNAPSHOT]), scope="any")

    assert seen is not None
    assert (seen.execution_id, seen.overall_pass) == (evidencing.run_id(1), True)


def test_a_run_of_another_kind_is_passed_over(cloud: Cloud) -> None:
    _put(cloud, 1)
    soak = evidencing.case(evidencing.run_id(2), kind="soak")
    evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{evidencing.run_id(2)}", evidencing.published(soak))

    burst, seen = _find(cloud), _find(cloud, kind="soak")

    assert burst is not None
    assert seen is not None
    assert [(each.execution_id, each.kind) for each in (burst, seen)] == [
        (evidencing.run_id(1), catalogues.Kind.BURST),
        (evidencing.run_id(2), catalogues.Kind.SOAK),
    ]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({cases.FACTS: b"{}"}, "is corrupt: m10_f_facts.json is not the document the snapshot names by digest"),
        ({evidencing.SNAPSHOT: b"{}"}, "is unsupported-schema"),
    ],
)
def test_evidence_that_does_not_hold_is_said_and_not_passed_over(
    cloud: Cloud, spoil: dict[str, bytes], words: str
) -> None:
    _put(cloud, 1)
    _put(cloud, 2)
    evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{evidencing.run_id(2)}", spoil)

    with pytest.raises(errors.Refused, match=words):
        _find(cloud)


def test_a_run_that_never_committed_is_the_newest_all_the_same(cloud: Cloud) -> None:
    _put(cloud, 1)
    begun = {name: content for name, content in _put(cloud, 2).items() if name == "plan.json"}
    cloud.s3.delete_object(
        Bucket=cloud.place.split("/")[2],
        Key=f"{cloud.place.split('/', 3)[3]}/control/{evidencing.run_id(2)}/{evidencing.SNAPSHOT}",
    )

    assert begun
    with pytest.raises(errors.Refused, match="is incomplete: a run began here and never committed"):
        _find(cloud)


def test_what_is_not_there_is_missing_with_what_is(cloud: Cloud) -> None:
    _put(cloud, 1, scope="platform_other")

    with pytest.raises(errors.EvidenceIncomplete) as absent:
        _find(cloud)

    assert f"no run of M10.F (burst) of scope {cases.SCOPE} under {cloud.place}/control" in str(absent.value)
    assert f"the newest of that phase there is {evidencing.run_id(1)}" in str(absent.value)


def _document_problem(cloud: Cloud, **changes: Any) -> str:
    """Why a required document on S3 is not as the plan says; empty where it is."""
    document = {"name": "done", "document": f"{cloud.place}/runs/{{scope}}/done.json", **changes}
    plan = cases.plan(requires={"documents": [document]})

    def open_nothing() -> Any:
        raise errors.Refused("no receipts are asked here")

    checks = entry_checks.EntryChecks(
        plan, source=open_nothing, clock=system_clock.SystemClock(), redactor=redaction.Redactor(())
    )
    (check,) = checks.list_all()
    finding = check.ask()
    assert isinstance(finding, findings.Finding)
    return entry_gates.judge_answer(plan, "document:done", finding.entry)


def test_a_document_of_the_scope_is_read_with_its_digest(cloud: Cloud) -> None:
    evidencing.on_s3(cloud.s3, f"{cloud.place}/runs/{cases.SCOPE}", {"done.json": b'{"state":"DONE"}'})

    assert _document_problem(cloud) == ""
    assert _document_problem(cloud, path="/state", equals="DONE") == ""
    assert _document_problem(cloud, path="/state", equals="HALF") == "saw /state DONE"
    assert "/missing" in _document_problem(cloud, path="/missing", equals="DONE")
    assert "done.json" in _document_problem(cloud, document=f"{cloud.place}/runs/elsewhere/done.json")
