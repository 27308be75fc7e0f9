"""Facts: asks the fact queries of the plan, each of the receipt source or of a document elsewhere."""

import math
from collections.abc import Callable
from datetime import datetime

from burst import ports
from burst.control import pausing
from burst.domain.basics import canonical, errors, redaction
from burst.domain.documents import fact_answers, models
from burst.domain.plan import fact_sections, plans, question_sections

ReadDocument = Callable[[str], bytes]
"""Reads the bytes at an `s3://` address, or raises an `errors.BurstError`."""


def refuse_documents(address: str) -> bytes:
    """A `ReadDocument` for a run that reads no document elsewhere. Raises `errors.Refused`."""
    raise errors.Refused(f"{address}: documents elsewhere are not read here")


def ask_facts(
    plan: plans.Plan,
    source: ports.ReceiptSource,
    read_document: ReadDocument,
    patience: pausing.QuestionPatience,
) -> list[fact_answers.FactEntry]:
    """Asks every fact the plan declares; one that cannot be answered has no value and says why.

    Those whose answer did not come are asked again once all were asked, so that one takes no time from another.
    """
    entries: dict[int, fact_answers.FactEntry] = {}
    waiting = list(range(len(plan.facts)))
    while True:
        unanswered = list[int]()
        for number in waiting:
            value: models.Value
            try:
                value, detail = ask_value(plan.facts[number], plan.scope, source, read_document, patience.give_up_at)
            except errors.BurstError as exc:
                value, detail = None, str(exc)
                unanswered += [number] if isinstance(exc, errors.Unavailable) else []
            if number not in entries or number not in unanswered:  # the first failure tells more than one without time
                entries[number] = _make_entry(plan, plan.facts[number], value, detail, patience.clock.now())
        waiting = unanswered
        if not waiting or not patience.pause():
            return [entries[number] for number in sorted(entries)]


def ask_value(
    question: question_sections.QuestionSection,
    scope: str,
    source: ports.ReceiptSource,
    read_document: ReadDocument,
    give_up_at: datetime,
) -> tuple[models.Value, str]:
    """The value, and beside it the digest of the document it stood in; None and why where there is no usable value.

    Raises `errors.BurstError` where the question cannot be asked.
    """
    detail = ""
    if question.sql is not None:
        value = source.ask(question.sql, scope=scope, give_up_at=give_up_at)
    else:
        content = read_document(question.address(scope))
        value = canonical.scalar_at(canonical.decode(content), str(question.path))
        detail = f"of a document with sha256 {canonical.digest(content)}"
    if isinstance(value, float) and not math.isfinite(value):
        return None, f"the query answered {value}, which is no number to compare"
    if isinstance(value, int) and abs(value) > canonical.LARGEST_INTEGER:
        return None, "the query answered a whole number beyond 2^53, which JSON cannot hold exactly"
    if value is None:
        return None, detail or "the query answered nothing"
    if not isinstance(value, bool | int | float | str):
        raise errors.UsageError(f"the query answered a {type(value).__name__}; allowed: number, text, true or false")
    return value, detail


def _make_entry(
    plan: plans.Plan, fact: fact_sections.FactSection, value: models.Value, detail: str, answered_at: datetime
) -> fact_answers.FactEntry:
    return fact_answers.FactEntry.model_validate(
        {
            "blocker": fact.blocker,
            "name": fact.name,
            "value": value,
            "equals": fact.equals,
            "at_most": fact.at_most,
            "at_least": fact.at_least,
            "source": fact.sql or f"{fact.address(plan.scope)}#{fact.path}",
            "at_utc": answered_at,
            "detail": detail,
        }
    )


def showable(entry: fact_answers.FactEntry, redactor: redaction.Redactor) -> fact_answers.FactEntry:
    """The answer to a fact. A text that must not be shown as it is becomes no answer, because no other was given."""
    if not isinstance(entry.value, str) or redactor.text(entry.value, statement=True) == entry.value:
        return entry
    return entry.model_copy(update={"value": None, "detail": "the query answered text that must not be shown"})
