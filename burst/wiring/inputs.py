"""Inputs of a run: its prior snapshot, its baseline, the documents of its facts, the key that signs.

A prior is a run's evidence, so it is verified as a consumer would verify it: in every place that can be reached, and
along the chain of its own priors. Only a snapshot alone, of a run recorded elsewhere, is taken on its word; preflight
says so, and so does the verification of the rerun.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters import signing
from burst.adapters.local import folder_store
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, gate_records
from burst.domain.plan import catalogues, plans, reproduction_sections
from burst.domain.verdict import baselines, cases, gate_modes
from burst.evidence import compared_places, full_verification, newest, places, verification
from burst.kit import files


def document(address: str) -> bytes:
    """The bytes of a document on S3. Raises a `BurstError` where it cannot be read."""
    parent, _, name = address.rpartition("/")
    return places.Opener().store(parent).read(name)


def baseline(plan: plans.Plan, now: datetime) -> tuple[bytes | None, baselines.Baseline | None]:
    """The baseline's document, where it is one, and what it says.

    Raises `errors.Refused` where it cannot be read, is not the one the plan names, or is too old.
    """
    if plan.baseline is None or plan.baseline.file is None:
        return None, baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        content = _read_content(plan.baseline.file, "baseline")
        if plan.baseline.sha256 and canonical.digest(content) != plan.baseline.sha256:
            raise errors.Refused("it is not the one the plan names by digest")
        baseline_document = baselines.read(content)
        too_old = baselines.expiry_problem(baseline_document, plan.baseline, now)
        if too_old:
            raise errors.Refused(too_old)
    except errors.BurstError as exc:
        problem = str(exc) if isinstance(exc, errors.UsageError) else f"baseline {plan.baseline.file}: {exc}"
        blocker = plan.blocker(catalogues.Role.BASELINE)
        raise errors.Refused(
            f"{blocker}: {problem}; nothing was launched; make one with `burst baseline make RUN -o FILE`"
        ) from exc
    return content, baselines.from_document(baseline_document)


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


def read_gate_records(plan: plans.Plan) -> bytes | None:
    """The promotions and demotions that the plan names by digest, as one document; None where it names none.

    Raises `errors.Refused` where one cannot be read, is none, or is not named, and where one that is named is missing.
    """
    if plan.gates.records is None:
        return None
    contents = []
    for reference in plan.gates.records:
        try:
            content = _read_content(reference, "gates.records")
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


def signer(plan: plans.Plan, clock: ports.Clock) -> Callable[[], ports.Signer] | None:
    """Opens the key that signs; None where the plan asks for no signature."""
    if plan.evidence.sign is None:
        return None
    reference = plan.evidence.sign.key
    return lambda: signing.open_signer(reference, clock)


def frozen_plan(folder: Path) -> plans.Plan:
    """The plan of the run in a folder, as executed."""
    content = folder_store.FolderStore(folder).read(document_names.PLAN)
    return plans.parse(content.decode(), source=str(folder / document_names.PLAN))


def frozen_baseline(plan: plans.Plan, store: folder_store.FolderStore) -> baselines.Baseline | None:
    """The baseline of the run in a folder; None where it has none, or none that can be read."""
    if plan.baseline is None or document_names.BASELINE not in store.names():
        return baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        return baselines.from_document(baselines.read(store.read(document_names.BASELINE)))
    except errors.BurstError:
        return None  # adjudication refuses it; the tasks still have to be settled


def _read_evidenced(plan: plans.Plan, place: str) -> PriorInput:
    """Snapshot and plan of a run whose evidence holds in every place, and whose priors hold too."""
    opener = places.Opener()
    run = opener.run(place)
    finding = full_verification.verify(run, opener).finding
    if finding.state is not verification.EvidenceState.OK:
        raise errors.Refused(f"its evidence is {finding.state}: {finding.why}")
    if finding.name == document_names.unpublished_name(plan.slug, plan.kind):
        raise errors.Refused(f"{finding.why}; publish it first: burst resume {place}")
    return PriorInput(snapshot=run.store.read(str(finding.name)), plan=run.store.read(document_names.PLAN))


def _read_content(reference: str, named: str) -> bytes:
    return document(reference) if reference.startswith(places.S3) else files.read_named(Path(reference), named)
