"""The entry gates of a plan as preflight checks: what each asks, and of whom.

They come before every other check, side by side, so that nothing is sent, not even the canary, before all of them are
as the plan requires.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from burst import ports
from burst.adapters.aws import ecs_service_states
from burst.control import entry_watch, facts, preflight
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.documents import entry_answers
from burst.domain.plan import entry_sections, plans
from burst.domain.preflight import entry_gates, findings
from burst.kit import files
from burst.wiring import inputs
from burst.wiring.preflight import required_phases
from burst.wiring.targets import targets

PHASE_SECONDS = 60.0
"""How much longer than other checks the verification of a phase's evidence may take."""

Seen = Mapping[str, Any]


class EntryChecks:
    """The entry gates of one plan."""

    def __init__(
        self,
        plan: plans.Plan,
        *,
        source: Callable[[], ports.ReceiptSource],
        clock: ports.Clock,
        redactor: redaction.Redactor,
    ) -> None:
        self._plan = plan
        self._source = source
        self._clock = clock
        self._redactor = redactor

    def list_all(self) -> tuple[preflight.PreflightCheck, ...]:
        """A check for each entry of `requires`, in the order of the plan."""
        return tuple(self._list_checks())

    def _list_checks(self) -> Iterator[preflight.PreflightCheck]:
        for gate, question in self._plan.entry_questions.items():
            waiting = entry_watch.WaitingWords(words=gate)
            extra_seconds = PHASE_SECONDS if isinstance(question, entry_sections.RequiredPhaseSection) else 0.0
            yield preflight.PreflightCheck(
                name=entry_gates.find_check(gate),
                ask=self._make_check(gate, self._choose_ask(question), waiting),
                extra_seconds=extra_seconds + entry_gates.find_wait_seconds(question),
                describe=waiting.tell,
            )

    def _make_check(
        self, gate: str, ask: entry_watch.Ask, waiting: entry_watch.WaitingWords
    ) -> Callable[[], findings.Finding]:
        def check() -> findings.Finding:
            answer = entry_watch.ask_until(self._plan, gate, ask, self._clock, waiting)
            return entry_gates.to_finding(self._plan, answer)

        return check

    def _choose_ask(self, question: entry_sections.EntryQuestion | None) -> entry_watch.Ask:
        match question:
            case entry_sections.RequiredPhaseSection():
                return lambda: self._ask_phase(question)
            case entry_sections.RequiredDocumentSection():
                return lambda: self._ask_document(question)
            case entry_sections.RequiredFactSection():
                return lambda: self._ask_fact(question)
            case entry_sections.RequiredServiceSection():
                return lambda: self._ask_service(question)
            case None:
                return self._ask_living

    def _ask_phase(self, question: entry_sections.RequiredPhaseSection) -> Seen:
        return {"phase_seen": required_phases.find_phase(question, self._plan.scope, self._clock.now())}

    def _ask_document(self, question: entry_sections.RequiredDocumentSection) -> Seen:
        address = question.address(self._plan.scope)
        content = inputs.document(address) if address.startswith("s3://") else _read_file(address)
        value = None
        if question.path is not None:
            value = self._hide(canonical.scalar_at(canonical.decode(content), question.path))
        document = entry_answers.DocumentSeen(address=address, sha256=canonical.digest(content), value=value)
        return {"document_seen": document}

    def _ask_fact(self, question: entry_sections.RequiredFactSection) -> Seen:
        give_up_at = instants.later(self._clock.now(), preflight.patience_seconds(self._plan))
        value, detail = facts.ask_value(question, self._plan.scope, self._source(), inputs.document, give_up_at)
        return {"fact_value": self._hide(value), "unanswered": detail if value is None else ""}

    def _hide(self, value: Any) -> Any:
        """The value; None for a text that must not be shown as it is."""
        if isinstance(value, str) and self._redactor.text(value, statement=True) != value:
            return None
        return value

    def _ask_service(self, question: entry_sections.RequiredServiceSection) -> Seen:
        states = ecs_service_states.EcsServiceStates(str(self._plan.target.cluster), clock=self._clock)
        images = question.image is not None
        return {"service_seen": states.look(question.name, question.environment, images=images)}

    def _ask_living(self) -> Seen:
        return {"living_runs": targets.choose(self._plan, self._clock).list_living_runs()}


def _read_file(name: str) -> bytes:
    """The bytes of a file. Raises `errors.EvidenceIncomplete` where it cannot be read now: it may be there later."""
    try:
        return files.read_named(Path(name), "requires.documents")
    except errors.UsageError as exc:
        raise errors.EvidenceIncomplete(str(exc)) from exc
