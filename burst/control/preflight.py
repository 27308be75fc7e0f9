"""Preflight: what would make the burst worthless, found before anything is launched.

Every check runs, side by side and each on its own: one that crashes or does not answer in time is itself a finding
that refuses, and hides no other. What is seen is judged in `domain.launchable`; here it is asked for.
"""

import dataclasses
import queue
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import preflight_results
from burst.domain.plan import plans
from burst.domain.preflight import findings, judgements

PATIENCE_SECONDS = 15.0
"""How long one check may ask."""
OVERTIME_SECONDS = 5.0
"""How long after its patience a check is waited for, so that it can still say itself what it waited for."""
QUIET_SECONDS = 3.0
"""How long no check answers before it is said who is waited for."""
RECEIPT_POLL_SECONDS = 0.1
TIMES_SAMPLED = 1000
"""Of how many receipts the time is looked at; any will do, because one ingest writes them all."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Who is shown how far the checks are; without words of its own, nobody."""

    found: Callable[[findings.Finding], None] = lambda _: None
    """Shown each finding as it comes."""
    waiting: Callable[[Sequence[str]], None] = lambda _: None
    """Told the names of the checks that are still asking, whenever none answered for `QUIET_SECONDS`."""


UNSEEN = Observer()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightCheck:
    """One question. `ask` gives what it found; a `BurstError` it raises refuses under the check's own id.

    `elsewhere` says that another process does the work of the answer: the sooner it begins, the more goes on beside it.
    """

    name: str
    ask: Callable[[], findings.Finding | Iterable[findings.Finding]]
    elsewhere: bool = False


def run(
    checks: Sequence[PreflightCheck],
    *,
    observer: Observer = UNSEEN,
    seconds: float = PATIENCE_SECONDS + OVERTIME_SECONDS,
) -> tuple[findings.Finding, ...]:
    """Every check's findings, in the order of the checks.

    All begin at once, those answered `elsewhere` first, and none is waited for longer than `seconds`: what has not
    answered then refuses.
    """
    answers: queue.SimpleQueue[tuple[int, tuple[findings.Finding, ...]]] = queue.SimpleQueue()
    for index in begun(checks):
        _begin(index, checks[index], answers)
    found: dict[int, tuple[findings.Finding, ...]] = {}
    give_up_at = time.monotonic() + seconds
    while len(found) < len(checks):
        left_seconds = max(0.0, give_up_at - time.monotonic())
        try:
            index, answer = answers.get(timeout=min(left_seconds, QUIET_SECONDS))
        except queue.Empty:
            if left_seconds > QUIET_SECONDS:
                observer.waiting([check.name for index, check in enumerate(checks) if index not in found])
                continue
            late = {
                index: (findings.refused(check.name, f"no answer within {seconds:g} s"),)
                for index, check in enumerate(checks)
                if index not in found
            }
            found |= late
            answer = tuple(finding for one in late.values() for finding in one)
        else:
            found[index] = answer
        for finding in answer:
            observer.found(finding)
    return tuple(finding for index in range(len(checks)) for finding in found[index])


def begun(checks: Sequence[PreflightCheck]) -> Sequence[int]:
    """The places of the checks in the order in which they are begun: those answered elsewhere, then the others."""
    return sorted(range(len(checks)), key=lambda index: not checks[index].elsewhere)


def _begin(
    index: int, check: PreflightCheck, answers: "queue.SimpleQueue[tuple[int, tuple[findings.Finding, ...]]]"
) -> None:
    """Asks on a thread of its own, which nobody waits for once its time is over."""
    threading.Thread(
        target=lambda: answers.put((index, _find(check))), name=f"burst-check-{check.name}", daemon=True
    ).start()


def _find(check: PreflightCheck) -> tuple[findings.Finding, ...]:
    try:
        found = check.ask()
        return (found,) if isinstance(found, findings.Finding) else tuple(found)
    except errors.BurstError as exc:
        return (findings.refused(check.name, str(exc)),)
    except Exception as exc:
        # Only kind and place: the words of a foreign error may hold a secret.
        where = traceback.extract_tb(exc.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return (findings.refused(check.name, f"the check itself failed, a bug in burst: {type(exc).__name__} {place}"),)


def document(plan: plans.Plan, found: Sequence[findings.Finding], checked_at: datetime) -> preflight_results.Preflight:
    """The findings as a document of the run."""
    details = {finding.check: dict(finding.details) for finding in found if finding.details}
    return preflight_results.Preflight.model_validate(
        {
            "execution_id": str(plan.execution_id),
            "platform_run_id": plan.scope,
            "checked_utc": checked_at,
            "passed": not any(finding.refused for finding in found),
            "findings": [_entry(finding) for finding in found],
            "cost": details.get("cost"),
            "canary": details.get("canary"),
        }
    )


def _entry(finding: findings.Finding) -> preflight_results.FindingEntry:
    return preflight_results.FindingEntry(
        check=finding.check,
        status=finding.status.value,
        title=finding.kind.title,
        seen=finding.seen,
        why=finding.why,
        mend=finding.mend,
        runbook=finding.runbook,
    )


def patience_seconds(plan: plans.Plan) -> float:
    """How long one question to the database may take; a task that counts has to start before it answers."""
    return PATIENCE_SECONDS + (plan.receipts.counting_task.start_timeout if plan.receipts.via == "task" else 0.0)


class ReceiptChecks:
    """Questions to the database in which receipts are counted, asked as facts are: read-only, one value each.

    `source` is made late and once, because its secret may not resolve, which is then what the check found.
    """

    def __init__(self, plan: plans.Plan, source: Callable[[], ports.ReceiptSource], clock: ports.Clock) -> None:
        self._plan = plan
        self._source = source
        self._clock = clock
        self._table_asked = threading.Event()
        self._table_failure: errors.BurstError | None = None

    def checks(self) -> tuple[PreflightCheck, ...]:
        """Whether receipts can be counted, and whether this scope can still pass."""
        return (
            PreflightCheck(name="receipts", ask=self._table),
            self._beside("clock-skew", self._skew),
            self._beside("database", self._database),
            self._beside("database-role", self._role),
            self._beside("timestamps", self._timestamps),
            self._beside("scope-freshness", self._freshness),
        )

    def _beside(self, name: str, ask: Callable[[], findings.Finding]) -> PreflightCheck:
        """A question to the database that the table is asked of: what keeps both from an answer is said once."""

        def asked() -> findings.Finding:
            try:
                return ask()
            except errors.BurstError as exc:
                self._table_asked.wait(patience_seconds(self._plan))
                if type(exc) is not type(self._table_failure):
                    raise
                return findings.unasked(name, "receipts")

        return PreflightCheck(name=name, ask=asked)

    def _until(self) -> datetime:
        return instants.later(self._clock.now(), patience_seconds(self._plan))

    def _asked(self, sql: str) -> str:
        try:
            answer = self._source().ask(sql, scope=self._plan.scope, give_up_at=self._until())
        except errors.BurstError as exc:
            # Whoever reads a finding did not write the query.
            raise type(exc)(str(exc).replace(f"the fact query {sql!r}", "asking the database")) from exc
        return "" if answer is None else str(answer)

    def _table(self) -> findings.Finding:
        try:
            problems = self._source().problems(give_up_at=self._until())
        except errors.BurstError as exc:
            self._table_failure = exc
            raise
        finally:
            self._table_asked.set()
        return findings.judged_value("receipts", "; ".join(problems), f"{self._plan.receipts.table} answers")

    def _skew(self) -> findings.Finding:
        reading = self._source().clock(give_up_at=self._until())
        return judgements.database_skew(reading.worst_skew_seconds, self._plan.receipts.max_skew)

    def _database(self) -> findings.Finding:
        version, _, standby = self._asked(DATABASE).partition(" ")
        return judgements.database(int(version), standby == "true")

    def _role(self) -> findings.Finding:
        privileges, _, read_only = self._asked(role_query(self._plan.receipts.table)).partition(";")
        return judgements.role(self._plan, privileges, read_only == "on")

    def _timestamps(self) -> findings.Finding:
        answer = self._asked(timestamps_query(self._plan.receipts))
        odd, seen, textual = answer.split(" ")
        return judgements.timestamps(self._plan, int(odd), int(seen), textual == "true")

    def _freshness(self) -> findings.Finding:
        everything = windows.Window(_BEGINNING, instants.later(self._clock.now(), 86400))
        counted = self._source().count(
            everything, scope=self._plan.scope, bucket_seconds=everything.seconds, give_up_at=self._until()
        )
        own = self._known(canaries_query(self._plan.receipts)) if counted.counts.total else None
        there = dataclasses.replace(counted.counts, admit=max(0, counted.counts.admit - (own or 0)))
        admissions = self._known(ADMISSIONS) if self._asked(ADMISSIONS_TABLE) else None
        return judgements.freshness(self._plan, judgements.InScope(counts=there, admissions=admissions))

    def _known(self, sql: str) -> int | None:
        """A number, None where the table has not the columns to ask it of."""
        try:
            return int(self._asked(sql))
        except errors.UsageError:
            return None

    # The canary

    def canary(self, push: Callable[[bytes], int], url: str) -> PreflightCheck:
        """One event pushed as the burst's own are, and its receipt looked for in the table, by its id."""
        return self._beside("canary", lambda: self._send(push, url))

    def _send(self, push: Callable[[bytes], int], url: str) -> findings.Finding:
        event_id = f"{judgements.CANARY_PREFIX}{secrets.token_hex(8)}"
        sent_at = self._clock.now()
        try:
            status = push(judgements.canary_event(self._plan.scope, event_id))
        except errors.Unavailable as exc:
            return findings.refused("canary-unanswered", str(exc))
        refused = judgements.pushed(status, url)
        if refused is not None:
            return refused
        answer = self._receipt(event_id)
        if not answer:
            return findings.refused(
                "canary-no-receipt",
                f"POST {url} was answered {status}, and {self._plan.receipts.table} has no receipt of {event_id} "
                f"after {PATIENCE_SECONDS:g} s",
            )
        decision, _, moment = answer.partition(" ")
        at = instants.utc(datetime.fromisoformat(moment))
        self._wait_past(at)
        return judgements.canary_receipt(event_id, decision, at, sent_at)

    def _receipt(self, event_id: str) -> str:
        until, query = instants.later(self._clock.now(), PATIENCE_SECONDS), receipt_query(self._plan.receipts, event_id)
        while True:
            answer = self._asked(query)
            if answer or self._clock.now() >= until:
                return answer
            self._clock.sleep(RECEIPT_POLL_SECONDS)

    def _wait_past(self, at: datetime) -> None:
        """Until the canary's receipt lies in the past, so that it precedes GO; a clock too far off is found anyway."""
        ahead_seconds = instants.seconds_between(self._clock.now(), at)
        if 0 <= ahead_seconds <= self._plan.receipts.max_skew:
            self._clock.sleep(ahead_seconds + RECEIPT_POLL_SECONDS)


DATABASE = "select current_setting('server_version_num') || ' ' || cast(pg_is_in_recovery() as text)"
ADMISSIONS_TABLE = "select cast(to_regclass('admissions') as text)"
ADMISSIONS = "select count(*) from admissions where platform_run_id = :scope and event_id not like 'burst-canary-%'"


def role_query(table: str) -> str:
    """What the role may do to the table beside reading it, and whether its sessions are read-only by default."""
    parts = ('"' + part.replace('"', '""') + '"' for part in table.split("."))
    named = _literal(".".join(parts))
    privileges = ", ".join(
        f"case when has_table_privilege({named}, '{name}') then '{name}' end"
        for name in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
    )
    # The setting as it was before this transaction, which burst itself makes read-only.
    read_only = "(select reset_val from pg_settings where name = 'default_transaction_read_only')"
    return f"select concat_ws(', ', {privileges}) || ';' || {read_only}"


def timestamps_query(receipts_: plans.ReceiptsSection) -> str:
    """How many of the sampled times have no offset, how many were sampled, whether the column is text."""
    at = _quoted(receipts_.columns.at)
    return (
        f"select concat_ws(' ', count(*) filter (where said !~ {_literal(_OFFSET)}), count(*), "  # noqa: S608 (quoted)
        "coalesce(cast(bool_or(kind in ('text', 'character varying')) as text), 'false')) "
        f"from (select cast({at} as text) as said, cast(pg_typeof({at}) as text) as kind "
        f"from {_quoted_table(receipts_.table)} where {at} is not null limit {TIMES_SAMPLED}) as sampled"
    )


def canaries_query(receipts_: plans.ReceiptsSection) -> str:
    """How many events of the scope are canaries."""
    columns = receipts_.columns
    return (
        f"select count(*) from {_quoted_table(receipts_.table)} "  # noqa: S608 (quoted)
        f"where cast({_quoted(columns.scope)} as text) = :scope and cast({_quoted(columns.event)} as text) "
        f"like '{judgements.CANARY_PREFIX}%'"
    )


def receipt_query(receipts_: plans.ReceiptsSection, event_id: str) -> str:
    """Decision and time of one event's receipt; NULL where there is none."""
    columns = receipts_.columns
    return (
        f"select min(cast({_quoted(columns.decision)} as text) || ' ' || "  # noqa: S608 (quoted)
        f"cast(cast({_quoted(columns.at)} as timestamptz) as text)) from {_quoted_table(receipts_.table)} "
        f"where cast({_quoted(columns.scope)} as text) = :scope and {_quoted(columns.event)} = {_literal(event_id)}"
    )


def _quoted_table(name: str) -> str:
    return ".".join(_quoted(part) for part in name.split("."))


def _quoted(name: str) -> str:
    """A name as Postgres takes it exactly."""
    return _unbound('"' + name.replace('"', '""') + '"')


def _literal(text: str) -> str:
    return _unbound("'" + text.replace("'", "''") + "'")


def _unbound(text: str) -> str:
    """Text whose colons name no bound value."""
    return text.replace(":", "\\:")
