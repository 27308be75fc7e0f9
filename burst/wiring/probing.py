"""Probes, joined: each is a whole run with its evidence in the folder of the search.

One whose controller died is continued as `burst resume` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst.adapters.local import folder_store
from burst.control import searching
from burst.domain.basics import canonical, errors, instants, rates, windows
from burst.domain.course import criteria, probe_plans, rate_searches
from burst.domain.documents import document_names, load_documents, models
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.verdict import gates, load_backlogs, snapshots
from burst.wiring import begun_runs, campaign_plans, driving, preparing

PROBES = "probes"
"""The folder of the runs, in that of the search."""
_SENDING = "sending"
"""The check that says whether the tasks can send a rate at all."""
_CUT_BEFORE_LOAD = "resumed-before-go"
_INTERRUPTED = frozenset({130, 143})


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """`searching.ProbeDriver`: runs of one plan at the rates of a search."""

    plan: plans.Plan
    search_terms: rate_searches.SearchTerms
    terms: probe_plans.ProbeTerms
    folder: Path
    reporter: driving.Reporter
    command: tuple[str, ...]

    def make_run_id(self) -> str:
        """A new execution id of the plan's group."""
        return campaign_plans.make_stamped_id(self.plan.group)

    def take(self, probe: rate_searches.RateProbe) -> searching.ProbeAnswer:
        """Runs the plan of a probe to its verdict."""
        plan = self._make_plan(probe)
        name = f"plan_probe_{probe.number}.json"
        folder_store.FolderStore(self.folder).put_once(name, canonical.encode(plan.document()))
        request = preparing.RunRequest(
            plan_file=self.folder / name, execution_id=probe.run_id, early_stop=False, command=self.command
        )
        return self._answer(plan, probe, lambda: driving.run(request, self.reporter))

    def go_on(self, probe: rate_searches.RateProbe) -> searching.ProbeAnswer:
        """Continues its run, or says that it never began."""
        plan = self._make_plan(probe)
        address = self._address(plan, probe)
        if begun_runs.has_begun(address):
            return self._answer(plan, probe, lambda: driving.resume(address, self.reporter))
        living = begun_runs.describe_living(plan, probe.run_id)
        if living:
            raise errors.StillRunning(living)
        return searching.LostProbe(reason=f"run {probe.run_id} was never begun", usd=0.0)

    def _make_plan(self, probe: rate_searches.RateProbe) -> plans.Plan:
        rate = rates.parse(self.search_terms.write_rate(probe.rate))
        return probe_plans.make_plan(self.plan, rate, self.terms)

    def _address(self, plan: plans.Plan, probe: rate_searches.RateProbe) -> driving.RunAddress:
        folder = self.folder / PROBES / probe.run_id
        return driving.RunAddress(name=str(folder), folder=folder, run_control=plan.evidence.authority)

    def _answer(
        self, plan: plans.Plan, probe: rate_searches.RateProbe, act: Callable[[], driving.Outcome]
    ) -> searching.ProbeAnswer:
        """The answer of an act on the run. An error of a run that began is raised: it may still run."""
        try:
            outcome = act()
        except findings.LaunchRefused as exc:
            if exc.checks == (_SENDING,):
                judged = criteria.Judged(outcome="withheld", why=str(exc))
                return searching.ProbeEnd(judged=judged, usd=0.0)
            return searching.LostProbe(reason=str(exc), usd=0.0, error=exc)
        except (errors.ControllerAtWork, errors.PublicationFailed, errors.StillRunning):
            raise
        except errors.BurstError as exc:
            if begun_runs.has_begun(self._address(plan, probe)):
                raise
            return searching.LostProbe(reason=str(exc), usd=0.0, error=exc)
        return _settle(plan, probe, outcome) or self._describe_end(plan, probe, outcome)

    def _describe_end(
        self, plan: plans.Plan, probe: rate_searches.RateProbe, outcome: driving.Outcome
    ) -> searching.ProbeEnd:
        snapshot, authority = outcome.verdict.snapshot, plan.evidence.authority
        load = _read_load(plan, outcome.folder)
        return searching.ProbeEnd(
            judged=criteria.judge(
                self.terms.criteria,
                _list_answers(snapshot),
                _find_sent(plan, snapshot, load),
                least_sent=self.search_terms.least_sent,
                behind=_tell_behind(plan, snapshot, load),
            ),
            usd=_find_cost(plan, snapshot),
            place=str(outcome.folder) if authority is None else f"{authority}/{probe.run_id}",
            sha256=outcome.verdict.sha256,
        )


def _settle(plan: plans.Plan, probe: rate_searches.RateProbe, outcome: driving.Outcome) -> searching.LostProbe | None:
    """The loss of a run that says nothing of its rate; None of one that does."""
    snapshot = outcome.verdict.snapshot
    usd = _find_cost(plan, snapshot)
    if outcome.urgent:
        raise errors.StillRunning(outcome.urgent)
    if outcome.exit_code in _INTERRUPTED:
        return searching.LostProbe(reason="interrupted", usd=usd, error=searching.SearchInterrupted(outcome.exit_code))
    if snapshot.decision.stop_reason == _CUT_BEFORE_LOAD:
        return searching.LostProbe(reason="its controller died before the load began", usd=usd)
    halted = next((gate for gate in snapshot.gates if gate.name == gates.NOT_HALTED and gate.status != "PASS"), None)
    if halted is not None:
        error = errors.Refused(f"probe {probe.number} was halted: {halted.why}; evidence: {outcome.folder}")
        return searching.LostProbe(reason=halted.why, usd=usd, error=error)
    return None


def _read_load(plan: plans.Plan, folder: Path) -> load_documents.Load | None:
    """The load account, where every task left one with its schedule."""
    name, store = document_names.load_name(plan.slug), folder_store.FolderStore(folder)
    if name not in store.names():
        return None
    load = models.read(load_documents.Load, store.read(name))
    return load if len(load.shards_with_due) >= plan.target.tasks else None


def _tell_behind(plan: plans.Plan, snapshot: snapshots.Snapshot, load: load_documents.Load | None) -> str:
    """How the system fell behind what it was sent; empty where it kept up, or nobody can tell."""
    counted = snapshot.burst_execution_window.counted_window
    growth = None
    if load is not None and counted is not None:
        growth = load_backlogs.find_growth(load, counted.window.start, _find_declared_end(plan, counted.window))
    if growth is None:
        return ""
    return (
        f"the queue grew: {growth.early:,} requests waited for their answers in the first half of the window, and "
        f"{growth.late:,} after {growth.seconds} s"
    )


def _find_sent(
    plan: plans.Plan, snapshot: snapshots.Snapshot, load: load_documents.Load | None
) -> criteria.Sent | None:
    """The events due and the events sent: by the accounts of all tasks, else by the plan and the receipts."""
    counted, counts = snapshot.burst_execution_window.counted_window, snapshot.burst_load_checks.counts
    if counted is None or counts is None:
        return None
    if load is not None:
        nearest = load_backlogs.find_nearest(load, counted.window.start, _find_declared_end(plan, counted.window))
        if nearest is not None:
            return criteria.Sent(due=nearest.due, sent=nearest.sent)
        return criteria.Sent(due=sum(task.due for task in load.tasks), sent=load.sent)
    due = plan.count_planned(plan.lead_seconds, plan.lead_seconds + counted.window.seconds)
    return None if due is None else criteria.Sent(due=due, sent=counts.counts.total)


def _find_declared_end(plan: plans.Plan, counted: windows.Window) -> datetime:
    """The end of a counted window, without the time in which its tasks ended."""
    return min(counted.end, instants.later(counted.start, plan.budget.window_seconds))


def _find_cost(plan: plans.Plan, snapshot: snapshots.Snapshot) -> float | None:
    if plan.target.kind == "local":
        return 0.0
    return None if snapshot.cost is None else snapshot.cost.estimated_usd


def _list_answers(snapshot: snapshots.Snapshot) -> list[criteria.GateAnswer]:
    return [
        criteria.GateAnswer(name=gate.name, status=gate.status, measured=gate.measured, why=gate.why)
        for gate in snapshot.gates
        if gate.mode == "required"
    ]
