"""A required phase: its run under a place, verified as a consumer verifies it."""

from collections.abc import Iterator
from datetime import datetime

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, entry_answers
from burst.domain.plan import catalogues, entry_sections
from burst.evidence import full_verification, newest, places, soundness


def find_phase(
    question: entry_sections.RequiredPhaseSection, scope: str, now: datetime
) -> entry_answers.PhaseSeen | None:
    """The run that a required phase rests on: the newest one, whatever it is worth, or the one that the digest names.

    Raises `errors.EvidenceIncomplete` where there is none, and what reading the place raises.
    """
    opener, wanted_scope = places.Opener(), question.choose_scope(scope)
    of_scope = None if wanted_scope == entry_sections.ANY_SCOPE else wanted_scope
    for _, run in _list_runs(question, opener, newest.Filter(phase=question.phase, scope=of_scope, now=now)):
        if question.sha256 is None or _has_digest(run, question.sha256):
            return _verify(question, run, opener)
    raise errors.EvidenceIncomplete(_describe_absence(question, opener, of_scope, now))


def _list_runs(
    question: entry_sections.RequiredPhaseSection, opener: places.Opener, run_filter: newest.Filter
) -> Iterator[tuple[str, places.RunPlace]]:
    for name, run in newest.attempts(question.place, opener, run_filter):
        if _find_kind(run) in (None, question.kind):
            yield name, run


def _find_kind(run: places.RunPlace) -> str | None:
    """The kind of a run's phase, by the name of its snapshot, else by its plan; None where nobody can tell."""
    names = run.store.names()
    for kind in catalogues.Kind:
        if any(name.endswith(document_names.snapshot_name("", kind)) for name in names):
            return kind
    try:
        plan = canonical.decode(run.store.read(document_names.PLAN))
    except errors.BurstError:
        return None
    return str(plan.get("kind", catalogues.Kind.BURST)) if isinstance(plan, dict) else None


def _has_digest(run: places.RunPlace, sha256: str) -> bool:
    names = [name for name in run.store.names() if document_names.is_snapshot_name(name)]
    return any(canonical.digest(run.store.read(name)) == sha256 for name in names)


def _verify(
    question: entry_sections.RequiredPhaseSection, run: places.RunPlace, opener: places.Opener
) -> entry_answers.PhaseSeen:
    """The run as its evidence says. Raises the error of evidence that is not sound, or not published."""
    finding = full_verification.verify(run, opener).finding
    if finding.state is not soundness.EvidenceState.OK:
        raise errors.Refused(f"the evidence at {run.place} is {finding.state}: {finding.why}")
    snapshot = finding.shown
    if snapshot is None:
        raise errors.Refused(f"the evidence at {run.place} has no snapshot")
    if finding.name == document_names.unpublished_name(finding.slug, catalogues.Kind(snapshot.kind)):
        raise errors.Refused(f"{run.place}: {finding.why}; publish it first: burst resume {run.place}")
    return entry_answers.PhaseSeen(
        execution_id=snapshot.execution_id,
        phase=snapshot.phase,
        kind=snapshot.kind,
        platform_run_id=snapshot.platform_run_id,
        sha256=str(finding.sha256),
        place=question.place,
        state=finding.state.value,
        overall_pass=snapshot.overall_pass,
        blockers=snapshot.blockers,
    )


def _describe_absence(
    question: entry_sections.RequiredPhaseSection, opener: places.Opener, scope: str | None, now: datetime
) -> str:
    """The missing run, and the newest one of the phase that is there instead."""
    which = f"with digest {question.sha256}" if question.sha256 else f"of scope {scope}"
    absent = f"no run of {question.phase} ({question.kind}) {which} under {question.place}"
    runs = _list_runs(question, opener, newest.Filter(phase=question.phase, now=now))
    newest_name = next((name for name, _ in runs), None)
    return f"{absent}; the newest of that phase there is {newest_name}" if newest_name else absent
