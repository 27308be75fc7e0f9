"""What a plan rests on that an earlier run left: the prior of a rerun, the run it reproduces, the records of gates.

A prior is a run's evidence, so it is verified as a consumer would verify it: in every place that can be reached, and
along the chain of its own priors. Only a snapshot alone, of a run recorded elsewhere, is taken on its word; preflight
says so, and so does the verification of the rerun.

Most plans name none of these, so this module is imported where a plan names one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from burst.domain.basics import errors
from burst.domain.documents import document_names, gate_records
from burst.domain.plan import catalogues
from burst.domain.verdict import cases, contracts, gate_modes, rules
from burst.evidence import compared_places, full_verification, newest, places, soundness
from burst.kit import files
from burst.wiring import inputs

if TYPE_CHECKING:
    from burst.domain.plan import plans, reproduction_sections


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorInput:
    """The prior snapshot of a rerun, and the plan of its run; None where a snapshot alone is named."""

    snapshot: bytes
    plan: bytes | None


def prior(plan: plans.Plan) -> PriorInput | None:
    """The prior of a rerun: of a run whose evidence holds, or a snapshot alone; None where none is named.

    Raises `errors.Refused` where the evidence does not hold, cannot be verified, or does not fit this rerun;
    `errors.UsageError` where there is no such file, or the rerun names a blocker that is not open in it.
    """
    if plan.rerun is None or plan.rerun.prior is None:
        return None
    reference, place = plan.rerun.prior, run_behind(plan)
    try:
        if place:
            prior_input = _read_evidenced(plan, place)
        else:
            prior_input = PriorInput(snapshot=files.read_named(Path(reference), "rerun.prior"), plan=None)
        cases.check_prior(plan, prior_input.snapshot)
    except errors.UsageError:
        raise
    except errors.BurstError as exc:
        raise errors.Refused(
            f"{plan.blocker(catalogues.Role.DEPENDENCY)}: rerun.prior {reference}: {exc}; nothing was launched"
        ) from exc
    return prior_input


def run_behind(plan: plans.Plan) -> str | None:
    """The run whose evidence stands behind the plan's prior; None for a snapshot alone, and where there is no prior."""
    reference = plan.rerun.prior if plan.rerun else None
    if reference is None:
        return None
    name = document_names.snapshot_name(plan.slug, plan.kind)
    if reference.startswith(places.S3):
        return reference.removesuffix(f"/{name}")
    if os.path.isdir(reference):
        return reference
    folder, file = os.path.split(reference)
    return folder or "." if file == name and os.path.isfile(os.path.join(folder, document_names.PLAN)) else None


def reference(plan: plans.Plan, now: datetime) -> PriorInput | None:
    """Snapshot and plan of the run that this one reproduces; None where the plan names none.

    Raises `errors.Refused` where its evidence does not hold, it did not pass, or it is not the one that is named.
    """
    section = plan.reproduces
    if section is None:
        return None
    try:
        run = compared_places.open_place(_find_reference(section, now), places.Opener())
        if run.verdict is None or document_names.find_unpublished_slug(run.name) is not None:
            raise errors.Refused("it is no published snapshot of a run")
        if section.sha256 is not None and run.sha256 != section.sha256:
            raise errors.Refused(f"its digest is {run.sha256}, and the plan names {section.sha256}")
        if not run.verdict.snapshot.overall_pass:
            raise errors.Refused(f"run {run.run_id} did not pass: {', '.join(run.verdict.snapshot.blockers)}")
        return PriorInput(snapshot=run.verdict.content, plan=run.documents[document_names.PLAN])
    except errors.BurstError as exc:
        raise errors.Refused(
            f"{plan.blocker(catalogues.Role.BASELINE)}: reproduces.snapshot {section.snapshot}: {exc}; "
            "nothing was launched"
        ) from exc


def _find_reference(section: reproduction_sections.ReproducesSection, now: datetime) -> str:
    """The place of the run that is repeated: as it is named, or the newest run of a phase, whatever that is worth."""
    if section.phase is None:
        return section.snapshot
    runs = newest.attempts(section.snapshot, places.Opener(), newest.Filter(phase=section.phase, now=now))
    for _, run in runs:
        return run.place
    raise errors.EvidenceIncomplete(f"no run of phase {section.phase} is there")


def read_gate_records(plan: plans.Plan) -> bytes | None:
    """The promotions and demotions that the plan names by digest, as one document; None where it names none.

    Raises `errors.Refused` where one cannot be read, is none, or is not named, and where one that is named is missing.
    """
    if plan.gates.records is None:
        return None
    contents = []
    for reference in plan.gates.records:
        try:
            content = inputs.read_content(reference, "gates.records")
            gate_modes.read_record(content)
        except errors.BurstError as exc:
            dependencies = plan.blocker(catalogues.Role.DEPENDENCY)
            raise errors.Refused(f"{dependencies}: gates.records {reference}: {exc}; nothing was launched") from exc
        contents.append(content)
    document = gate_records.GateRecords.from_contents(contents)
    problem = gate_modes.find_mode_problems(plan, document)
    if problem:
        dependencies = plan.blocker(catalogues.Role.DEPENDENCY)
        raise errors.Refused(f"{dependencies}: gates.modes: {problem}; nothing was launched")
    return document.content()


def _read_evidenced(plan: plans.Plan, place: str) -> PriorInput:
    """Snapshot and plan of a run whose evidence holds in every place, and whose priors hold too."""
    opener = places.Opener()
    run = opener.run(place)
    finding = full_verification.verify(run, opener).finding
    if finding.state is not soundness.EvidenceState.OK:
        raise errors.Refused(f"its evidence is {finding.state}: {finding.why}")
    if finding.name == document_names.unpublished_name(plan.slug, plan.kind):
        raise errors.Refused(f"{finding.why}; publish it first: burst resume {place}")
    return PriorInput(snapshot=run.store.read(str(finding.name)), plan=run.store.read(document_names.PLAN))


def find_contract_problem(plan: plans.Plan, prior: PriorInput, baseline_content: bytes | None) -> str:
    """Why a rerun by this plan opens B4, because its terms are not its prior's; empty where they are, or are named in
    `rerun.changes`."""
    documents = {
        document_names.BASELINE: baseline_content,
        document_names.PRIOR: prior.snapshot,
        document_names.PRIOR_PLAN: prior.plan,
    }
    contents = {name: content for name, content in documents.items() if content is not None}
    case = cases.from_documents(plan, b"", contents)
    gate = contracts.same_contract_gate(contracts.from_case(case, rules.CURRENT.version))
    return "" if gate.passed else gate.why
