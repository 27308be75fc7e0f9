"""Entry gates: what an entry of `requires` asks for, whether an answer is as expected, and when it is asked again.

Pure: the shell asks, and these judge. Adjudication judges the same answers by the same functions, so that an answer
that says it passed passes nothing.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import canonical, instants, wording
from burst.domain.documents import entry_answers
from burst.domain.observations import limits
from burst.domain.plan import entry_sections, plans
from burst.domain.preflight import findings

ASK_AGAIN_SECONDS = 5.0
"""How long an entry gate pauses before it asks again."""
CHECKS: Mapping[str, str] = {
    "phase": "entry-phase",
    "document": "entry-document",
    "fact": "entry-fact",
    "service": "entry-service",
    entry_sections.NOTHING_ALIVE: "entry-nothing-alive",
}
"""The preflight check of each kind of entry gate."""


class NextStep(enum.StrEnum):
    """The step after an answer."""

    PASS = "pass"  # noqa: S105 (a step, no password)
    ASK_AGAIN = "ask-again"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPatience:
    """How long one entry gate is asked: from its first question until its time is over."""

    begun_at: datetime
    wait_seconds: float

    @property
    def over_at(self) -> datetime:
        """The instant after which it is not asked again."""
        return instants.later(self.begun_at, self.wait_seconds)

    def decide(self, problem: str, now: datetime) -> NextStep:
        """The step after an answer with that problem; an empty one passes."""
        if not problem:
            return NextStep.PASS
        return NextStep.ASK_AGAIN if now < self.over_at else NextStep.REFUSE

    def pause_seconds(self, now: datetime) -> float:
        """How long to pause before the next question: the last one is asked when the time is over."""
        return max(0.0, min(ASK_AGAIN_SECONDS, instants.seconds_between(now, self.over_at)))


def find_check(gate: str) -> str:
    """The preflight check of an entry gate, by the name of the gate."""
    return CHECKS[gate.partition(":")[0]]


def find_wait_seconds(question: entry_sections.EntryQuestion | None) -> float:
    """How long an entry is asked again; 0 where once."""
    return getattr(question, "until", None) or 0.0


def digest_question(plan: plans.Plan, gate: str) -> str:
    """The digest of what an entry of `requires` asks in the plan's scope; how long it waits is no part of it."""
    question = plan.entry_questions[gate]
    fields = {} if question is None else question.model_dump(mode="json", exclude={"until"}, exclude_defaults=True)
    return canonical.digest(canonical.encode({"gate": gate, "scope": plan.scope, **fields}))


def describe_wanted(plan: plans.Plan, gate: str) -> str:
    """What an entry gate allows, in words."""
    question = plan.entry_questions[gate]
    match question:
        case entry_sections.RequiredPhaseSection():
            scope = question.choose_scope(plan.scope)
            which = f"with digest {question.sha256[:16]}" if question.sha256 else "the newest"
            of_scope = "of any scope" if scope == entry_sections.ANY_SCOPE else f"of scope {scope}"
            return f"a PASS of {question.phase} ({question.kind}) {of_scope} under {question.place}, {which}"
        case entry_sections.RequiredDocumentSection():
            value = f" with {question.path} that {_describe_limit(question)}" if question.path else ""
            return f"{question.address(plan.scope)}{value}"
        case entry_sections.RequiredFactSection():
            return f"an answer that {_describe_limit(question)}"
        case entry_sections.RequiredServiceSection():
            return _describe_service(question, plan.scope)
        case None:
            return "no task of another run under this run control"


_HAS_TO = {
    limits.Comparison.EQUALS: "equal",
    limits.Comparison.AT_MOST: "be at most",
    limits.Comparison.AT_LEAST: "be at least",
}


def find_limit(question: entry_sections.RequiredDocumentSection | entry_sections.RequiredFactSection) -> limits.Limit:
    """The one limit of a fact, or of a document with a path."""
    return limits.choose(question.equals, question.at_most, question.at_least)


def _describe_limit(question: entry_sections.RequiredDocumentSection | entry_sections.RequiredFactSection) -> str:
    limit = find_limit(question)
    return f"has to {_HAS_TO[limit.comparison]} {limit.required}"


def _describe_service(question: entry_sections.RequiredServiceSection, scope: str) -> str:
    parts = [
        f"at least {question.running} running, as many as it wants",
        f"task definition {question.task_definition}" if question.task_definition else "",
        f"image {question.image}" if question.image else "",
        *(f"{name}={value}" for name, value in question.variables(scope).items()),
    ]
    return ", ".join(filter(None, parts))


def judge_answer(plan: plans.Plan, gate: str, answer: entry_answers.EntryAnswer | None) -> str:
    """Why an answer to an entry of `requires` is not as expected; empty where it is."""
    if answer is None:
        return "it was not asked"
    if answer.question_sha256 != digest_question(plan, gate):
        return "the answer is to another question than the plan's"
    question = plan.entry_questions[gate]
    match question:
        case entry_sections.RequiredPhaseSection():
            problem = _judge_phase(question, plan, answer.phase_seen)
        case entry_sections.RequiredDocumentSection():
            problem = _judge_document(question, plan, answer.document_seen)
        case entry_sections.RequiredFactSection():
            problem = "" if _meets(question, answer.fact_value) else f"saw {_show(answer.fact_value)}"
        case entry_sections.RequiredServiceSection():
            problem = _judge_service(question, plan, answer.service_seen)
        case None:
            problem = _judge_living(answer.living_runs)
    return (answer.unanswered or problem) if problem else ""


def _show(value: object) -> str:
    return "no value" if value is None else str(value)


def _judge_phase(
    question: entry_sections.RequiredPhaseSection, plan: plans.Plan, phase: entry_answers.PhaseSeen | None
) -> str:
    if phase is None:
        return "no snapshot was seen"
    scope, run = question.choose_scope(plan.scope), phase.execution_id or "a run without an id"
    if (phase.phase, phase.kind) != (question.phase, question.kind):
        return f"{run} is of phase {phase.phase} ({phase.kind})"
    if scope not in (entry_sections.ANY_SCOPE, phase.platform_run_id):
        return f"{run} is of scope {phase.platform_run_id}"
    if question.sha256 not in (None, phase.sha256):
        return f"the snapshot of {run} has digest {phase.sha256}"
    if phase.state != "ok":
        return f"the evidence of {run} is {phase.state}"
    if not phase.overall_pass or phase.blockers:
        return f"{run} is a HOLD: {', '.join(phase.blockers) or 'it names no blocker'}"
    return ""


def _judge_document(
    question: entry_sections.RequiredDocumentSection, plan: plans.Plan, document: entry_answers.DocumentSeen | None
) -> str:
    if document is None:
        return "no document was seen"
    if document.address != question.address(plan.scope):
        return f"saw another document: {document.address}"
    if question.path is None:
        return ""
    return "" if _meets(question, document.value) else f"saw {question.path} {_show(document.value)}"


def _meets(
    question: entry_sections.RequiredDocumentSection | entry_sections.RequiredFactSection, value: limits.Value
) -> bool:
    return find_limit(question).judge(value).status is limits.AnswerStatus.PASS


def _judge_service(
    question: entry_sections.RequiredServiceSection, plan: plans.Plan, service: entry_answers.ServiceSeen | None
) -> str:
    if service is None:
        return "the cluster has no such active service"
    problems = []
    if service.running != service.desired or service.running < question.running:
        problems.append(f"saw {service.running} running of {service.desired} that it wants")
    if question.task_definition is not None and not _names_definition(
        service.task_definition, question.task_definition
    ):
        problems.append(f"saw task definition {service.task_definition}")
    if question.image is not None and question.image not in service.images:
        problems.append(f"saw image {', '.join(service.images) or 'of no known digest'}")
    for name, value in question.variables(plan.scope).items():
        values = service.variables.get(name, [])
        if values != [value]:
            problems.append(f"saw {name} {', '.join(values) or 'nowhere'}")
    return "; ".join(problems)


def _names_definition(running: str, named: str) -> bool:
    """Whether a task definition, by its ARN or `family:revision`, is the named one."""
    return running == named or ("/" not in named and running.rpartition("/")[2] == named)


def _judge_living(living: list[str] | None) -> str:
    if living is None:
        return "nobody can tell which tasks are alive"
    if not living:
        return ""
    return f"saw tasks of {wording.format_count(len(living), 'other run')} alive: {', '.join(living)}"


def to_finding(plan: plans.Plan, answer: entry_answers.EntryAnswer) -> findings.Finding:
    """The finding of preflight about one answer; it carries the answer to the preflight document."""
    gate, problem = answer.gate, judge_answer(plan, answer.gate, answer)
    waited = instants.seconds_between(answer.begun_utc, answer.answered_utc)
    times = f"asked {wording.format_count(answer.times_asked, 'time')} in {instants.exact(round(waited, 1))} s"
    words = f"{gate}: {problem}; allowed: {describe_wanted(plan, gate)}; {times}"
    return findings.Finding(
        check=find_check(gate),
        status=findings.FindingStatus.REFUSED if problem else findings.FindingStatus.PASSED,
        seen=words if problem else f"{gate}: {describe_wanted(plan, gate)}",
        entry=answer,
    )


def describe_waiting(plan: plans.Plan, gate: str, problem: str, patience: EntryPatience, now: datetime) -> str:
    """How far an entry gate is that is still asked: its last answer, its requirement, and the time that is left."""
    seconds_left = max(0.0, instants.seconds_between(now, patience.over_at))
    words = f"{problem or 'asking'}; allowed: {describe_wanted(plan, gate)}"
    return f"{gate} ({words}; {instants.duration_text(round(seconds_left))} left)"
