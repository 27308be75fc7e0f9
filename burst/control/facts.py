"""Facts: asks the fact queries of the plan, each of the receipt source or of a document elsewhere."""

import math
from collections.abc import Callable
from datetime import datetime

from burst import ports
from burst.domain.basics import canonical, errors, redaction
from burst.domain.documents import fact_answers
from burst.domain.plan import plans

ReadDocument = Callable[[str], bytes]
"""Reads the bytes at an `s3://` address, or raises an `errors.BurstError`."""


def refuse_documents(address: str) -> bytes:
    """A `ReadDocument` for a run that reads no document elsewhere. Raises `errors.Refused`."""
    raise errors.Refused(f"{address}: documents elsewhere are not read here")


def ask_facts(
    plan: plans.Plan,
    source: ports.ReceiptSource,
    read_document: ReadDocument,
    clock: ports.Clock,
    give_up_at: datetime,
) -> list[fact_answers.FactEntry]:
    """Asks every fact the plan declares; one that cannot be answered has no value and says why."""

    def read_value(fact: plans.FactSection) -> tuple[object, str]:
        """The value, and the digest of the document it stood in."""
        if fact.sql is not None:
            return source.ask(fact.sql, scope=plan.scope, give_up_at=give_up_at), ""
        content = read_document(fact.address(plan.scope))
        value = canonical.scalar_at(canonical.decode(content), str(fact.path))
        return value, f"of a document with sha256 {canonical.digest(content)}"

    return [_answer_fact(plan, fact, read_value, clock) for fact in plan.facts]


def _answer_fact(
    plan: plans.Plan,
    fact: plans.FactSection,
    read_value: Callable[[plans.FactSection], tuple[object, str]],
    clock: ports.Clock,
) -> fact_answers.FactEntry:
    try:
        value, detail = read_value(fact)
    except errors.BurstError as exc:
        value, detail = None, str(exc)
    if isinstance(value, float) and not math.isfinite(value):
        value, detail = None, f"the query answered {value}, which is no number to compare"
    if isinstance(value, int) and abs(value) > canonical.LARGEST_INTEGER:
        value, detail = None, "the query answered a whole number beyond 2^53, which JSON cannot hold exactly"
    return fact_answers.FactEntry.model_validate(
        {
            "blocker": fact.blocker,
            "name": fact.name,
            "value": value,
            "equals": fact.equals,
            "at_most": fact.at_most,
            "at_least": fact.at_least,
            "source": fact.sql or f"{fact.address(plan.scope)}#{fact.path}",
            "at_utc": clock.now(),
            "detail": detail or ("the query answered nothing" if value is None else ""),
        }
    )


def showable(entry: fact_answers.FactEntry, redactor: redaction.Redactor) -> fact_answers.FactEntry:
    """The answer to a fact. A text that must not be shown as it is becomes no answer, because no other was given."""
    if not isinstance(entry.value, str) or redactor.text(entry.value, statement=True) == entry.value:
        return entry
    return entry.model_copy(update={"value": None, "detail": "the query answered text that must not be shown"})
