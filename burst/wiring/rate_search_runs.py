"""Searches for the highest rate, joined: the folder, the journal, the lock and the probes of one search.

The plan is frozen in the folder when the search begins, so that a later change of its file is no part of the search.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from burst.adapters import secrets
from burst.adapters.local import course_journal_file, folder_store, run_lock, system_clock
from burst.control import ownership, searching
from burst.domain.basics import canonical, errors, instants, rates, redaction
from burst.domain.course import criteria, probe_plans, rate_searches, search_events
from burst.domain.documents import document_names, rate_search_documents
from burst.domain.plan import plans
from burst.report import rate_search_text
from burst.wiring import campaign_plans, driving, preparing, probing

SEARCHES = "searches"
"""The folder of all searches, beside the runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """The plan and the words of the command line. Rates are events a minute, and know the unit they were written in."""

    plan_file: Path
    overrides: tuple[str, ...]
    criteria: tuple[str, ...]
    lowest: float
    highest: float
    within: float
    probe_seconds: float
    confirm: int
    max_seconds: float
    max_usd: float | None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """A search as its folder shows it. `interrupted`: the exit code of the signal that ended its process in order."""

    folder: Path
    search: rate_searches.SearchCourse
    plan: plans.Plan
    interrupted: int | None = None

    @property
    def document(self) -> rate_search_documents.RateSearch:
        """The answer so far."""
        return rate_search_text.make_document(self.search, self.plan)


def begin(request: SearchRequest, reporter: driving.Reporter) -> SearchView:
    """Begins a search, and plays it to its end. Raises `errors.UsageError` for bad words: nothing was begun then."""
    plan = preparing.read_plan(preparing.RunRequest(plan_file=request.plan_file, overrides=request.overrides))
    probe_plans.refuse_unfit(plan)
    terms = _make_terms(request, plan)
    clock = system_clock.SystemClock()
    search_id = campaign_plans.make_stamped_id("rate")
    content = canonical.encode(plan.document())
    store = folder_store.FolderStore.create(Path(plan.evidence.local) / SEARCHES, search_id)
    store.put_once(document_names.PLAN, content)
    began = search_events.SearchBegan(
        schema=search_events.SCHEMA,
        minor=search_events.MINOR,
        search_id=search_id,
        plan_sha256=canonical.digest(content),
        terms=terms,
    )
    reporter.say(f"search {search_id} in {store.folder}")
    with _hold_lock(store.folder):
        path = store.folder / search_events.NAME
        course_journal_file.CourseJournalFile.create(path, clock.now, search_events.FORM).close()
        return _play(store.folder, plan, terms, began, reporter, request.command)


def resume(folder: Path, reporter: driving.Reporter, command: tuple[str, ...] = ()) -> SearchView:
    """Goes on with a search whose process died or was interrupted; one that has ended is only shown."""
    view = look(folder)
    if view.search.ending is not None:
        return view
    with _hold_lock(folder):
        terms = look(folder).search.required_terms
        return _play(folder, view.plan, terms, search_events.SearchResumed(), reporter, command)


def look(folder: Path) -> SearchView:
    """A search from its folder alone. Raises `errors.EvidenceIncomplete` where there is none, and
    `errors.EvidenceCorrupt` where the plan is not the one that the journal names."""
    search = search_events.FORM.fold(course_journal_file.read_lines(folder / search_events.NAME, search_events.FORM))
    if not search.search_id:
        raise errors.EvidenceIncomplete(f"{folder}: no search began here, and nothing was launched; begin it again")
    content = folder_store.FolderStore(folder).read(document_names.PLAN)
    if canonical.digest(content) != search.plan_sha256:
        raise errors.EvidenceCorrupt(f"{folder / document_names.PLAN} is not the plan that the journal names")
    plan = plans.read(content, source=str(folder / document_names.PLAN))
    return SearchView(folder=folder, search=search, plan=plan)


def _make_terms(request: SearchRequest, plan: plans.Plan) -> rate_searches.SearchTerms:
    if request.lowest >= request.highest:
        raise errors.UsageError(f"--from {rates.describe(request.lowest)}: allowed: a rate below --to")
    chosen_criteria = probe_plans.choose_criteria(plan, request.criteria)
    longest = _require_probe_plans(request, plan, chosen_criteria)
    if longest > request.max_seconds:
        raise errors.UsageError(
            f"--max-time: one probe may take {instants.duration_text(longest)} from its preflight to its verdict; "
            "allow more, or shorten budget.start_timeout or receipts.count_timeout"
        )
    if request.max_usd is not None and plan.most_usd is None:
        raise errors.UsageError("--max-cost: the plan has no budget.cost_cap_usd, so nobody knows what a probe costs")
    return rate_searches.SearchTerms(
        criteria=tuple(criterion.words for criterion in chosen_criteria),
        lowest=float(request.lowest),
        highest=float(request.highest),
        within=request.within,
        confirm=request.confirm,
        probe_seconds=request.probe_seconds,
        max_seconds=request.max_seconds,
        max_usd=request.max_usd,
        most_probe_seconds=longest,
        most_probe_usd=plan.most_usd,
        unit="s" if rates.describe(request.lowest).endswith("/s") else "min",
        needed=_find_needed(request),
    )


def _require_probe_plans(
    request: SearchRequest, plan: plans.Plan, chosen_criteria: tuple[criteria.Criterion, ...]
) -> float:
    """How long a probe takes at most. Raises `errors.UsageError` where a plan at either end of the bracket is none."""
    terms = probe_plans.ProbeTerms(
        criteria=chosen_criteria, seconds=request.probe_seconds, folder=Path(plan.evidence.local)
    )
    return max(
        campaign_plans.find_longest(probe_plans.make_plan(plan, rate, terms))
        for rate in (request.lowest, request.highest)
    )


def _find_needed(request: SearchRequest) -> float | None:
    """The rate that the plan's multiple of its baseline takes; None where it asks for none, or has no sound one."""
    original = preparing.RunRequest(plan_file=request.plan_file, overrides=request.overrides)
    prepared = preparing.examine(original, datetime.now(UTC))
    per_second = prepared.required_admits_per_second
    return None if per_second is None else per_second * 60


@contextlib.contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    lock = run_lock.RunLock(folder, ownership.make_owner(system_clock.SystemClock()))
    try:
        yield
    finally:
        lock.release()


def _play(
    folder: Path,
    plan: plans.Plan,
    terms: rate_searches.SearchTerms,
    first: search_events.SearchEvent,
    reporter: driving.Reporter,
    command: tuple[str, ...],
) -> SearchView:
    """Plays a search to its end, or to the signal that ends its process in order; notes `first` before."""
    driver = _make_driver(folder, plan, terms, reporter, command)
    clock = system_clock.SystemClock()
    journal = course_journal_file.CourseJournalFile.open(folder / search_events.NAME, clock.now, search_events.FORM)
    with contextlib.closing(journal):
        runner = searching.SearchRunner(
            searching.SearchParts(
                driver=driver,
                journal=journal,
                clock=clock,
                say=reporter.say,
                redactor=redaction.Redactor(secrets.RESOLVED),
            )
        )
        runner.note(first)
        try:
            interrupted = _drive(runner)
        except errors.BurstError:
            reporter.say(f"the search goes on with: burst find-rate --resume {folder}")
            raise
    view = SearchView(folder=folder, search=runner.search, plan=plan, interrupted=interrupted)
    if interrupted is None:
        store = folder_store.FolderStore(folder)
        store.put_once(rate_search_documents.NAME, view.document.content())
    return view


def _make_driver(
    folder: Path,
    plan: plans.Plan,
    terms: rate_searches.SearchTerms,
    reporter: driving.Reporter,
    command: tuple[str, ...],
) -> probing.Probes:
    probe_terms = probe_plans.ProbeTerms(
        criteria=probe_plans.choose_criteria(plan, terms.criteria),
        seconds=terms.probe_seconds,
        folder=folder / probing.PROBES,
    )
    return probing.Probes(
        plan=plan, search_terms=terms, terms=probe_terms, folder=folder, reporter=reporter, command=command
    )


def _drive(runner: searching.SearchRunner) -> int | None:
    """Drives a search to its end, or to a signal, whose exit code it returns."""
    try:
        runner.drive()
    except searching.SearchInterrupted as exc:
        return exc.exit_code
    except KeyboardInterrupt:  # between two runs, or before one began
        return 130
    return None
