"""Reproducing: asks the key sets of the reference's scope and of the run's own, and makes the document of both."""

from burst import ports
from burst.control import facts, pausing
from burst.domain.basics import canonical, errors, redaction
from burst.domain.documents import reproduction_vectors
from burst.domain.plan import plans, reproduction_sections
from burst.domain.plan.reproduction_sections import ReproducesSection

MOST_KEYS = 10_000
LONGEST_KEY = 500


def ask_reproduction(
    plan: plans.Plan,
    section: ReproducesSection,
    reference: bytes,
    source: ports.ReceiptSource,
    read_document: facts.ReadDocument,
    patience: pausing.QuestionPatience,
) -> reproduction_vectors.Reproduction:
    """The key sets of both scopes, by the reference's snapshot; one that cannot be had says why."""
    snapshot = canonical.decode(reference)
    scope = str(snapshot.get("platform_run_id")) if isinstance(snapshot, dict) else ""

    def ask(of_scope: str) -> reproduction_vectors.KeysetAnswer:
        keys, detail = _ask_keys(section.keyset, of_scope, source, read_document, patience)
        return reproduction_vectors.KeysetAnswer(
            platform_run_id=of_scope,
            keys=keys,
            source=section.keyset.describe_source(of_scope),
            at_utc=patience.clock.now(),
            detail=detail,
        )

    return reproduction_vectors.Reproduction(
        execution_id=str(plan.execution_id),
        platform_run_id=plan.scope,
        reference_sha256=canonical.digest(reference),
        baseline=ask(scope),
        candidate=ask(plan.scope),
    )


def _ask_keys(
    section: reproduction_sections.KeysetSection,
    scope: str,
    source: ports.ReceiptSource,
    read_document: facts.ReadDocument,
    patience: pausing.QuestionPatience,
) -> tuple[list[str] | None, str]:
    try:
        if section.sql is not None:
            sql = section.sql
            answer = patience.ask(lambda: source.ask(sql, scope=scope, give_up_at=patience.give_up_at))
            if answer is None:
                return None, "the query answered nothing"
            if not isinstance(answer, str):
                return None, f"the query answered a {type(answer).__name__}, and no text of keys"
            return _require_usable([key.strip() for key in answer.split(section.separator)])
        content = patience.ask(lambda: read_document(section.address(scope)))
        keys = _read_keys(canonical.value_at(canonical.decode(content), str(section.path)))
        usable, problem = _require_usable(keys) if keys is not None else (None, "neither an object nor a list of texts")
        return usable, problem or f"of a document with sha256 {canonical.digest(content)}"
    except errors.BurstError as exc:
        return None, str(exc)


def _read_keys(value: object) -> list[str] | None:
    if isinstance(value, dict):
        return [str(key) for key in value]
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return [str(member) for member in value]
    return None


def _require_usable(keys: list[str]) -> tuple[list[str] | None, str]:
    """Distinct keys in order, or why they are none. A text that must not be shown is no key."""
    redactor = redaction.Redactor()
    if len(keys) > MOST_KEYS:
        return None, f"{len(keys)} keys; at most {MOST_KEYS} are compared"
    if any(not key or len(key) > LONGEST_KEY or redactor.text(key, statement=True) != key for key in keys):
        return None, "a key is empty, too long, or a text that must not be shown"
    if len(set(keys)) != len(keys):
        return None, "a key stands twice"
    return sorted(keys), ""
