"""Preflight: faults that would make the burst worthless, found before anything is launched.

Every check runs, side by side and each on its own: one that crashes or does not answer in time is itself a finding
that refuses, and hides no other. Checks ask here, and `domain.preflight.judgements` judges the answers.
"""

import dataclasses
import os
import queue
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.documents import preflight_results
from burst.domain.plan import plans
from burst.domain.preflight import database_judgements, findings, judgements, sending
from burst.domain.receipts import receipt_table

PATIENCE_SECONDS = 15.0
"""How long one check may ask."""
OVERTIME_SECONDS = 45.0
"""How much longer a check may take than its patience, so that it can still name the fault itself. All begin at once,
and on a machine that is busy with other work it takes long until the last of them has asked."""
QUIET_SECONDS = 3.0
"""After so long without an answer, the observer hears which checks are still asking."""
RECEIPT_POLL_SECONDS = 0.1
CANARY_SECONDS = 1.0
"""How much longer the canaries may take for each ingest after the first."""
TIMES_SAMPLED = 1000
"""How many receipt times are sampled; any will do, because one ingest writes them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Hears how far the checks are; by default nobody does."""

    begun: Callable[[Sequence[str]], None] = lambda _: None
    """Called with the names of the checks that are asked from now on."""
    answered: Callable[[str, Sequence[findings.Finding]], None] = lambda _, __: None
    """Called with each check, by its name, and its findings as they come."""
    found: Callable[[findings.Finding], None] = lambda _: None
    """Called with each finding as it comes."""
    waiting: Callable[[Sequence[str]], None] = lambda _: None
    """Called with what each check that is still asking says of itself, whenever none answered for `QUIET_SECONDS`."""


UNSEEN = Observer()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightCheck:
    """One question. `ask` gives its findings; a `BurstError` it raises refuses under the check's own id.

    `elsewhere`: another process does the work of the answer, so this check begins first and the others run beside it.
    `extra_seconds`: how much longer than the others it may take.
    """

    name: str
    ask: Callable[[], findings.Finding | Iterable[findings.Finding]]
    elsewhere: bool = False
    extra_seconds: float = 0.0
    describe: Callable[[], str] | None = None
    """How far it is, in words, for those that wait for it; None: its name says it."""

    @property
    def waiting_words(self) -> str:
        """The words about the check while it has not answered."""
        return self.name if self.describe is None else self.describe()


def run(
    checks: Sequence[PreflightCheck],
    *,
    observer: Observer = UNSEEN,
    seconds: float = PATIENCE_SECONDS + OVERTIME_SECONDS,
) -> tuple[findings.Finding, ...]:
    """Every check's findings, in the order of the checks.

    All begin at once, those answered `elsewhere` first. A check that has not answered after `seconds` and its own
    extra seconds refuses.
    """
    answers: queue.SimpleQueue[tuple[int, tuple[findings.Finding, ...]]] = queue.SimpleQueue()
    observer.begun([check.name for check in checks])
    for index in order_checks(checks):
        _begin(index, checks[index], answers)
    by_index: dict[int, tuple[findings.Finding, ...]] = {}
    began = time.monotonic()
    new: dict[int, tuple[findings.Finding, ...]]
    while len(by_index) < len(checks):
        waiting = {index: check for index, check in enumerate(checks) if index not in by_index}
        give_up_after = {index: seconds + check.extra_seconds for index, check in waiting.items()}
        seconds_left = max(0.0, began + min(give_up_after.values()) - time.monotonic())
        try:
            index, answer = answers.get(timeout=min(seconds_left, QUIET_SECONDS))
        except queue.Empty:
            if seconds_left > QUIET_SECONDS:
                observer.waiting([check.waiting_words for check in waiting.values()])
                continue
            new = {
                index: (findings.report_refusal(check.name, f"no answer within {give_up_after[index]:g} s"),)
                for index, check in waiting.items()
                if give_up_after[index] == min(give_up_after.values())
            }
        else:
            new = {index: answer}
        by_index |= new
        for index, answer in new.items():
            _report_answer(checks[index], answer, observer)
    return tuple(finding for index in range(len(checks)) for finding in by_index[index])


def _report_answer(check: PreflightCheck, answer: tuple[findings.Finding, ...], observer: Observer) -> None:
    observer.answered(check.name, answer)
    for finding in answer:
        observer.found(finding)


def order_checks(checks: Sequence[PreflightCheck]) -> Sequence[int]:
    """The indexes of the checks in the order of their begin: those answered elsewhere first."""
    return sorted(range(len(checks)), key=lambda index: not checks[index].elsewhere)


def _begin(
    index: int, check: PreflightCheck, answers: "queue.SimpleQueue[tuple[int, tuple[findings.Finding, ...]]]"
) -> None:
    """Asks on a thread of its own, which is abandoned once its time is over."""
    threading.Thread(
        target=lambda: answers.put((index, tuple(map(_clean, _ask(check))))),
        name=f"burst-check-{check.name}",
        daemon=True,
    ).start()


def _clean(finding: findings.Finding) -> findings.Finding:
    """The finding without the credentials of an address, which may stand in words from outside."""
    return dataclasses.replace(finding, seen=redaction.Redactor().text(finding.seen, statement=True))


def _ask(check: PreflightCheck) -> tuple[findings.Finding, ...]:
    try:
        answer = check.ask()
        return (answer,) if isinstance(answer, findings.Finding) else tuple(answer)
    except errors.BurstError as exc:
        return (findings.report_refusal(check.name, str(exc)),)
    except OSError as exc:
        of = f" ({Path(os.fsdecode(exc.filename)).name})" if exc.filename else ""
        return (
            findings.report_refusal(check.name, f"this machine refused it: {exc.strerror or type(exc).__name__}{of}"),
        )
    except Exception as exc:
        # Only kind and place: the words of a foreign error may hold a secret.
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return (
            findings.report_refusal(
                check.name, f"the check itself failed, a bug in burst: {type(exc).__name__} {place}"
            ),
        )


def build_document(
    plan: plans.Plan,
    answers: Sequence[findings.Finding],
    checked_at: datetime,
    machine: Mapping[str, str | int | float | None] | None = None,
) -> preflight_results.Preflight:
    """The findings as a document of the run; `machine` None: that of the tasks is not known before they run."""
    details = {finding.check: dict(finding.details) for finding in answers if finding.details}
    return preflight_results.Preflight.model_validate(
        {
            "execution_id": str(plan.execution_id),
            "platform_run_id": plan.scope,
            "checked_utc": checked_at,
            "passed": not any(finding.refused for finding in answers),
            "findings": [_entry(finding) for finding in answers],
            "cost": details.get("cost"),
            "canary": details.get("canary"),
            "machine": None if machine is None else dict(machine),
            "entry_gates": [finding.entry for finding in answers if finding.entry is not None],
            "store_policy": details.get("store-policy"),
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
    """How long one question to the database may take; a counting task has to start before it answers."""
    return PATIENCE_SECONDS + (plan.receipts.counting_task.start_timeout if plan.receipts.via == "task" else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryIngest:
    """One address that the tasks send to: pushes an event there."""

    url: str
    push: Callable[[bytes], sending.CanaryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SentCanary:
    event_id: str
    url: str
    sent_at: datetime
    answer: sending.CanaryAnswer


class ReceiptChecks:
    """The checks of the receipts, and of the database that holds them.

    `source` is made once, by the first check that needs it: where its secret does not resolve, that is the finding.
    `count_kept`: how many records the checkpoints of a playback hold; None where there are none, or nobody can tell.
    """

    def __init__(
        self,
        plan: plans.Plan,
        source: Callable[[], ports.ReceiptSource],
        clock: ports.Clock,
        count_kept: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._count_kept = count_kept
        self._source = source
        self._clock = clock
        self._table_checked = threading.Event()
        self._table_failure: errors.BurstError | None = None
        self._has_problems = False
        self._canary_over = threading.Event()
        self._canary_over.set()
        self._canary_answer: sending.CanaryAnswer | None = None

    def checks(self) -> tuple[PreflightCheck, ...]:
        """Whether receipts can be counted, and whether this scope can still pass."""
        return (
            PreflightCheck(name="receipts", ask=self._check_table),
            self._beside_table("clock-skew", self._check_skew),
            self._beside_table("database", self._check_server),
            self._beside_table("database-role", self._check_role),
            self._beside_table("role-settings", self._check_role_settings),
            self._beside_table("timestamps", self._check_times),
            self._beside_table("scope-freshness", self._check_freshness),
            self._beside_table("count-cost", self._check_count_cost),
        )

    def _beside_table(self, name: str, ask: Callable[[], findings.Finding]) -> PreflightCheck:
        """A check that asks the same database as `receipts`: a failure that both meet is described once, there."""

        def ask_beside() -> findings.Finding:
            try:
                return ask()
            except errors.BurstError as exc:
                if not self.is_unasked(exc):
                    raise
                return findings.report_unasked(name, "receipts")

        return PreflightCheck(name=name, ask=ask_beside)

    def is_out_of_reach(self) -> bool:
        """Whether `receipts` could ask its database nothing, so that no other question there has an answer."""
        self._table_checked.wait(patience_seconds(self._plan))
        return self._table_failure is not None and not self._has_problems

    def is_unasked(self, failure: errors.BurstError) -> bool:
        """Whether `receipts` tells already why a question to its database failed."""
        self._table_checked.wait(patience_seconds(self._plan))
        return type(failure) is type(self._table_failure)

    def _give_up_at(self) -> datetime:
        return instants.later(self._clock.now(), patience_seconds(self._plan))

    def _check_table(self) -> findings.Finding:
        try:
            problems = self._source().problems(give_up_at=self._give_up_at())
            self._has_problems = bool(problems)
            if problems:
                self._table_failure = errors.UsageError("; ".join(problems))  # as every question about the table ends
            else:
                self._source().open_writers(give_up_at=self._give_up_at())  # the count will have to know them
        except errors.BurstError as exc:
            self._table_failure = exc
            raise
        finally:
            self._table_checked.set()
        return findings.report_problem("receipts", "; ".join(problems), f"{self._plan.receipts.table} answers")

    def _check_skew(self) -> findings.Finding:
        reading = self._source().clock(give_up_at=self._give_up_at())
        return judgements.judge_database_skew(reading.worst_skew_seconds, self._plan.receipts.max_skew)

    def _check_server(self) -> findings.Finding:
        return judgements.judge_server(self._source().server(give_up_at=self._give_up_at()))

    def _check_role(self) -> findings.Finding:
        return judgements.judge_role(self._plan, self._source().privileges(give_up_at=self._give_up_at()))

    def _check_role_settings(self) -> findings.Finding:
        try:
            role = self._source().role(give_up_at=self._give_up_at())
        except errors.UnknownQuestion as exc:
            return findings.report_warning(database_judgements.ROLE_SETTINGS, f"not known: {exc}")
        return database_judgements.judge_role_settings(role)

    def _check_times(self) -> findings.Finding:
        sample = self._source().sample_times(TIMES_SAMPLED, give_up_at=self._give_up_at())
        if not sample.sampled and not self._canary_over.is_set():
            self._canary_over.wait(PATIENCE_SECONDS)  # an empty table soon holds the canary's receipt
            sample = self._source().sample_times(TIMES_SAMPLED, give_up_at=self._give_up_at())
        return judgements.judge_times(self._plan, sample)

    def _check_freshness(self) -> findings.Finding:
        contents = self._source().scope_contents(
            self._plan.scope, event_column=self._plan.receipts.columns.event, give_up_at=self._give_up_at()
        )
        return judgements.judge_freshness(self._plan, contents, self._count_kept())

    def _check_count_cost(self) -> findings.Finding:
        now = self._clock.now()
        window = windows.Window(now, instants.later(now, self._plan.budget.window_seconds))
        try:
            estimate = self._source().estimate_count(
                window,
                scope=self._plan.scope,
                bucket_seconds=self._plan.receipts.bucket,
                give_up_at=self._give_up_at(),
            )
        except errors.UnknownQuestion as exc:
            return findings.report_warning("count-cost", f"not known: {exc}")
        return judgements.judge_count_cost(self._plan, estimate)

    # The canary

    def canary(self, ingests: Sequence[CanaryIngest]) -> PreflightCheck:
        """Pushes one event to each ingest as the burst's own are pushed, and looks for their receipts by their ids."""
        self._canary_over.clear()

        def send() -> findings.Finding:
            try:
                return self._send_canaries(ingests)
            finally:
                self.end_canary()

        check = self._beside_table("canary", send)
        return dataclasses.replace(check, extra_seconds=CANARY_SECONDS * (len(ingests) - 1))

    def end_canary(self) -> None:
        """No check waits for the canary any longer: its receipt is there, or does not come."""
        self._canary_over.set()

    def judge_sending(self, describe_host: Callable[[], sending.SendingHost]) -> PreflightCheck:
        """Judges by the canary's answer whether the tasks of such a host can send the rate; made after the canary's."""

        def judge() -> findings.Finding:
            host = describe_host()
            self._canary_over.wait(PATIENCE_SECONDS)
            return sending.judge_sending(self._plan, self._canary_answer, host)

        return PreflightCheck(name="sending", ask=judge)

    def _send_canaries(self, ingests: Sequence[CanaryIngest]) -> findings.Finding:
        sent = list[_SentCanary]()
        for ingest in ingests:
            canary = self._push_canary(ingest)
            if isinstance(canary, findings.Finding):
                return canary
            sent.append(canary)
        self._canary_answer = max((each.answer for each in sent), key=lambda answer: answer.seconds)
        if not all(each.answer.keeps_connection for each in sent):
            self._canary_answer = dataclasses.replace(self._canary_answer, keeps_connection=False)
        judged = [self._judge_receipt(each) for each in sent]
        refused = next((finding for finding in judged if finding.refused), None)
        if refused is not None or len(judged) == 1:
            return refused or judged[0]
        return dataclasses.replace(judged[-1], seen=f"{len(judged)} hosts, each with its own: {judged[-1].seen}")

    def _push_canary(self, ingest: CanaryIngest) -> "_SentCanary | findings.Finding":
        event_id = f"{receipt_table.CANARY_PREFIX}{secrets.token_hex(8)}"
        sent_at = self._clock.now()
        try:
            answer = ingest.push(judgements.build_canary_event(self._plan, event_id, sent_at))
        except errors.Unavailable as exc:
            return findings.report_refusal("canary-unanswered", str(exc))
        refusal = judgements.judge_push(answer.status, ingest.url)
        return refusal or _SentCanary(event_id=event_id, url=ingest.url, sent_at=sent_at, answer=answer)

    def _judge_receipt(self, canary: "_SentCanary") -> findings.Finding:
        receipt = self._await_receipt(canary.event_id)
        if receipt is None:
            return findings.report_refusal(
                "canary-no-receipt",
                f"POST {canary.url} was answered {canary.answer.status}, and {self._plan.receipts.table} has no "
                f"receipt of {canary.event_id} after {PATIENCE_SECONDS:g} s",
            )
        wrong_instant = judgements.judge_receipt_instant(
            canary.event_id,
            receipt.at,
            sent_at=canary.sent_at,
            seen_at=self._clock.now(),
            max_skew_seconds=self._plan.receipts.max_skew,
        )
        if wrong_instant is not None:
            return wrong_instant
        self._wait_past(receipt.at)
        return judgements.judge_canary(canary.event_id, receipt, canary.sent_at)

    def _await_receipt(self, event_id: str) -> receipt_table.EventReceipt | None:
        give_up_at = instants.later(self._clock.now(), PATIENCE_SECONDS)
        while True:
            receipt = self._source().find_receipt(
                event_id,
                scope=self._plan.scope,
                event_column=self._plan.receipts.columns.event,
                give_up_at=self._give_up_at(),
            )
            if receipt is not None or self._clock.now() >= give_up_at:
                return receipt
            self._clock.sleep(RECEIPT_POLL_SECONDS)

    def _wait_past(self, at: datetime) -> None:
        """Waits until the canary's receipt lies in the past, so that it precedes GO."""
        ahead_seconds = instants.seconds_between(self._clock.now(), at)
        if ahead_seconds >= 0:
            self._clock.sleep(ahead_seconds + RECEIPT_POLL_SECONDS)
