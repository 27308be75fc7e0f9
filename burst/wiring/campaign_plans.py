"""Steps that are plans: each attempt is a run, found by its execution id, and continued as `burst resume` does."""

import json
import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pydantic

from burst import evidence
from burst.adapters.local import system_clock
from burst.control import campaigning
from burst.domain.basics import canonical, errors, instants
from burst.domain.course import campaign_files, courses
from burst.domain.plan import plans
from burst.wiring import begun_runs, driving, preparing

_CUT_BEFORE_LOAD = "resumed-before-go"
"""The reason of a run whose controller died before GO, as the course of a run has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSteps:
    """The plans of a campaign, frozen in its folder, and who hears how a run goes."""

    file: campaign_files.CampaignFile
    folder: Path
    reporter: driving.Reporter
    command: tuple[str, ...]

    def read_plan(self, step: campaign_files.StepSection, settings: tuple[str, ...]) -> plans.Plan:
        """The plan of a step with the settings of one attempt. Raises `errors.UsageError`."""
        request = preparing.RunRequest(
            plan_file=self.folder / make_plan_name(step.name), overrides=(*self._list_common(), *settings)
        )
        plan = preparing.read_plan(request)
        if plan.environment != self.file.environment:
            raise errors.UsageError(
                f"step {step.name}: its plan is of environment {plan.environment}, the campaign of "
                f"{self.file.environment}; let both be of one"
            )
        return preparing.read_plan(
            preparing.RunRequest(
                plan_file=request.plan_file, overrides=(*request.overrides, *_list_services(step, plan))
            )
        )

    def _list_common(self) -> tuple[str, ...]:
        """What every plan of the campaign has of the campaign: the folder of its runs, and its scope."""
        scope = () if self.file.scope is None else (f"scope={json.dumps(self.file.scope)}",)
        return (f"evidence.local={json.dumps(self.file.evidence.local)}", *scope)

    def make_run_id(self, step: campaign_files.StepSection) -> str:
        """A new execution id of the plan's group."""
        return make_stamped_id(self.read_plan(step, ()).group)

    def take(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepEnd | campaigning.StepCut:
        """Runs the plan to its verdict."""
        try:
            settings = fill_settings(attempt.settings, course)
            plan = self.read_plan(step, settings)
            _require_prior(attempt.prior)
            request = preparing.RunRequest(
                plan_file=self.folder / make_plan_name(step.name),
                overrides=(*self._list_common(), *settings, *_list_services(step, plan)),
                only=attempt.only,
                prior=attempt.prior.place if attempt.prior is not None else None,
                execution_id=attempt.run_id,
                command=self.command,
            )
        except errors.BurstError as exc:
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        return self._answer(step, plan, attempt, lambda: driving.run(request, self.reporter))

    def go_on(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepAnswer:
        """Continues the run, or says that it never began."""
        plan = self.read_plan(step, fill_settings(attempt.settings, course))
        address = self._address(plan, attempt)
        if not begun_runs.has_begun(address):
            return self._describe_lost(plan, attempt)
        return self._answer(step, plan, attempt, lambda: driving.resume(address, self.reporter))

    def stop(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course, reason: str
    ) -> campaigning.StepAnswer:
        """Stops the run, and settles it."""
        plan = self.read_plan(step, fill_settings(attempt.settings, course))
        address = self._address(plan, attempt)
        if not begun_runs.has_begun(address):
            return self._describe_lost(plan, attempt)
        driving.stop(address, reason, self.reporter)
        return self._answer(step, plan, attempt, lambda: driving.resume(address, self.reporter))

    def stop_tasks(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> None:
        """Stops the tasks of a run whose controller goes on to the verdict."""
        plan = self.read_plan(step, fill_settings(attempt.settings, course))
        address = self._address(plan, attempt)
        if begun_runs.has_begun(address):
            driving.stop(address, "the campaign is stopped", self.reporter)

    def _address(self, plan: plans.Plan, attempt: courses.StepAttempt) -> driving.RunAddress:
        folder = Path(plan.evidence.local) / attempt.run_id
        return driving.RunAddress(name=str(folder), folder=folder, run_control=plan.evidence.authority)

    def _describe_lost(self, plan: plans.Plan, attempt: courses.StepAttempt) -> campaigning.StepAnswer:
        """A run without a journal has launched nothing, but for tasks that are seen to live all the same."""
        living = begun_runs.describe_living(plan, attempt.run_id)
        if living:
            return campaigning.StepCut(exit_code=6, reason=living)
        return campaigning.NeverBegan(reason=f"run {attempt.run_id} was never begun")

    def _answer(
        self,
        step: campaign_files.StepSection,
        plan: plans.Plan,
        attempt: courses.StepAttempt,
        act: Callable[[], driving.Outcome],
    ) -> campaigning.StepEnd | campaigning.StepCut:
        """The answer of an act on the run. An error is the end where nothing began, and a cut where something did."""
        try:
            outcome = act()
        except errors.ControllerAtWork:
            raise
        except (errors.PublicationFailed, errors.StillRunning) as exc:
            return campaigning.StepCut(exit_code=exc.exit_code, reason=str(exc))
        except errors.BurstError as exc:
            if begun_runs.has_begun(self._address(plan, attempt)):
                return campaigning.StepCut(exit_code=exc.exit_code, reason=str(exc))
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        return _describe_end(step, plan, attempt, outcome)


def make_stamped_id(group: str) -> str:
    """A new id whose order is that of time, within a group."""
    return f"{group}_{instants.stamp(system_clock.SystemClock().now())}_{randomness.token_hex(3)}"


def make_plan_name(step: str) -> str:
    """The name under which the campaign keeps the plan of a step."""
    return f"plan_{step}.yaml"


def fill_settings(settings: tuple[str, ...], course: courses.Course) -> tuple[str, ...]:
    """Settings with the runs of earlier steps in them. Raises `errors.Refused` for a step that has none."""
    return tuple(fill_words(setting, course) for setting in settings)


def fill_words(words: str, course: courses.Course) -> str:
    """Words with `{STEP.run}` and `{STEP.sha256}` replaced by the last snapshot of each step."""
    values: dict[tuple[str, str], str] = {}
    for name, state in course.steps.items():
        if state.snapshot is not None:
            values[name, "run"], values[name, "sha256"] = state.snapshot.place, state.snapshot.sha256
    try:
        return campaign_files.fill(words, values)
    except LookupError as exc:
        raise errors.Refused(f"{words}: step {exc.args[0][0]} has no snapshot yet") from exc


def _list_services(step: campaign_files.StepSection, plan: plans.Plan) -> tuple[str, ...]:
    """The services of the plan with the counts that the step overrides."""
    overridden: Mapping[str, int] = step.overrides.services if step.overrides is not None else {}
    if not overridden:
        return ()
    counts = {service.name: service.desired for service in plan.services} | dict(overridden)
    return (f"services={json.dumps([{'name': name, 'desired': count} for name, count in counts.items()])}",)


def _require_prior(prior: courses.CitedSnapshot | None) -> None:
    """Refuses a bounded rerun whose prior is not the snapshot that the journal names."""
    if prior is None:
        return
    finding = evidence.verify(prior.place).finding.require()
    if finding.sha256 != prior.sha256:
        raise errors.Refused(f"{prior.place} holds another snapshot than the one that the step ended with")


def _describe_end(
    step: campaign_files.StepSection, plan: plans.Plan, attempt: courses.StepAttempt, outcome: driving.Outcome
) -> campaigning.StepEnd:
    snapshot, authority = outcome.verdict.snapshot, plan.evidence.authority
    place = str(outcome.folder) if authority is None else f"{authority}/{attempt.run_id}"
    return campaigning.StepEnd(
        end="PASS" if snapshot.overall_pass and outcome.exit_code == 0 else "HOLD",
        exit_code=outcome.exit_code,
        reason=outcome.urgent or snapshot.exit_reason,
        snapshot=courses.CitedSnapshot(place=place, sha256=outcome.verdict.sha256),
        blockers=tuple(snapshot.blockers),
        measures=read_measures(snapshot.document(), step.measured),
        cut_before_load=snapshot.decision.stop_reason == _CUT_BEFORE_LOAD,
    )


def read_measures(value: object, pointers: tuple[str, ...]) -> dict[str, pydantic.JsonValue]:
    """What stands at each pointer of a document; None where nothing does."""
    return {pointer: _read_measure(value, pointer) for pointer in pointers}


def _read_measure(value: object, pointer: str) -> pydantic.JsonValue:
    try:
        measure: pydantic.JsonValue = canonical.value_at(value, pointer)
    except errors.EvidenceCorrupt:
        return None
    return measure


def find_longest(plan: plans.Plan) -> float:
    """How long a run takes at most, from its preflight to its verdict, in seconds: the cap, the grace, the
    commands before and after, and the counts."""
    shots = sum(shot.timeout for shot in (*plan.before, *plan.after))
    return plan.budget.cap_seconds + plan.budget.stop_grace + shots + plan.receipts.patience_seconds
