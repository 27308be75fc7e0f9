"""Snapshot sections: each section as a model, and how it is made of a case and the answers of its gates.

Inputs stand beside outputs, so that a reader can compute the verdict again. Every field of version 1 is required. A
field that a later minor version adds has a default here, because the documents of every released version stay readable
(`tests/fixtures/documents`).
"""

import shlex
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import canonical, instants, redaction
from burst.domain.documents import attempts, document_names, endings, models, task_results, window_metrics
from burst.domain.plan import catalogues, plans
from burst.domain.receipts import receipts
from burst.domain.tasks import costs
from burst.domain.verdict import baselines, blockers, cases, contract_terms, contracts, gates, interval_gates, intervals

Pass = Annotated[bool, pydantic.Field(alias="pass")]
"""Whether a check was reached; `pass` in JSON."""
Comparison = Literal["at_least", "at_most", "equals"] | None
"""How the measured value has to stand to the required one; None where nothing is compared, or no version said how."""


def _name_comparison(comparison: gates.Comparison | None) -> Comparison:
    return comparison.value if comparison else None


class BurstTarget(models.Model):
    """`burst_target`: the terms of the plan. A reference run has no multiplier."""

    ingest_multiplier: float | None
    duration_minutes: float
    min_successful_admit_ratio: float | None

    @classmethod
    def from_plan(cls, plan: plans.Plan) -> Self:
        """The section of a plan."""
        return cls(
            ingest_multiplier=plan.gates.multiplier,
            duration_minutes=plan.budget.min_window / 60,
            min_successful_admit_ratio=plan.gates.admit_ratio,
        )


class BaselineExtract(models.Model):
    """`baseline_extract`: the reference rate that was divided by."""

    admits: models.Count
    seconds: float
    admits_per_minute: float
    source: str
    checksum: models.Digest | None

    @classmethod
    def from_baseline(cls, baseline: baselines.Baseline) -> Self:
        """The section of a usable baseline."""
        return cls(
            admits=baseline.admits,
            seconds=baseline.seconds,
            admits_per_minute=baseline.rate_per_minute,
            source=baseline.source,
            checksum=baseline.checksum,
        )


class ExecutionWindow(models.Model):
    """`burst_execution_window`: first task start to last task stop, and the window that was counted."""

    start_utc: models.Instant | None
    end_utc: models.Instant | None
    elapsed_seconds: float | None
    counted_window: window_metrics.WindowEntry | None
    tasks: list[task_results.TaskEntry]
    stop_asked_utc: models.Instant | None = None
    """When this run first asked its tasks to end."""
    load_ended_utc: models.Instant | None = None
    """The earliest end of the load that the evidence allows; the length is measured to it."""

    @classmethod
    def from_case(cls, case: cases.Case) -> Self:
        """The section of a case."""
        result, metrics = case.task_result.value, case.metrics.value
        window = result.window if result else None
        return cls(
            start_utc=window.start if window else None,
            end_utc=window.end if window else None,
            elapsed_seconds=window.seconds if window else None,
            counted_window=metrics.window if metrics else None,
            tasks=result.tasks if result else [],
            stop_asked_utc=result.stop_asked_utc if result else None,
            load_ended_utc=metrics.load_ended_utc if metrics else None,
        )


class LoadCheck(models.Model):
    """One measured figure, the threshold it was held to, and whether it was reached; all None where no gate asked."""

    value: float | None
    threshold: float | None
    pass_: Annotated[bool | None, pydantic.Field(alias="pass")]

    @classmethod
    def from_gates(cls, answers: Sequence[gates.Gate], name: str) -> Self:
        """The check of one gate of the profile, by its name."""
        for gate in answers:
            if (gate.blocker, gate.name) == (catalogues.Role.PROFILE, name):
                return cls.model_validate({"value": gate.measured, "threshold": gate.required, "pass": gate.passed})
        return cls(value=None, threshold=None, pass_=None)


class LoadChecks(models.Model):
    """`burst_load_checks`: the figures of the load, and what they were held to."""

    achieved_multiplier: LoadCheck
    admit_ratio: LoadCheck
    duration_seconds: LoadCheck
    counts: window_metrics.CountsEntry | None
    admits_per_minute: float | None
    no_data: bool

    @classmethod
    def from_case(cls, case: cases.Case, answers: Sequence[gates.Gate]) -> Self:
        """The section of a case and its gates."""
        metrics = case.metrics.value
        rate = receipts.rate_per_second(metrics.counts.admit, metrics.window.window.seconds) if metrics else None
        return cls(
            achieved_multiplier=LoadCheck.from_gates(answers, "achieved_multiplier"),
            admit_ratio=LoadCheck.from_gates(answers, "admit_ratio"),
            duration_seconds=LoadCheck.from_gates(answers, "duration_seconds"),
            counts=metrics.counts if metrics else None,
            admits_per_minute=rate * 60 if rate is not None else None,
            no_data=metrics is None or metrics.counts.counts.total == 0,
        )


class BoundsEntry(models.Model):
    """One interval by one method; of the dispersion where that is what it rests on."""

    low: float
    high: float
    parts: models.Count
    """Batches of the burst, or its whole minutes."""
    baseline_parts: models.Count
    dispersion: float | None
    baseline_dispersion: float | None

    @classmethod
    def find(cls, interval: intervals.Interval, method: intervals.Method) -> Self | None:
        """The bounds by a method; None where the buckets do not allow it."""
        for bounds in interval.methods:
            if bounds.method == method:
                return cls(
                    low=bounds.low,
                    high=bounds.high,
                    parts=bounds.parts,
                    baseline_parts=bounds.baseline_parts,
                    dispersion=bounds.dispersion,
                    baseline_dispersion=bounds.baseline_dispersion,
                )
        return None


class MultiplierInterval(models.Model):
    """`multiplier_interval`: where the multiplier would lie were burst and reference run repeated. It decides nothing,
    unless the plan sets `gates.multiplier_lower`."""

    level: float
    multiplier: float
    low: float
    high: float
    method: intervals.Method
    """The method whose interval is the wider."""
    batch_means: BoundsEntry | None
    quasi_poisson: BoundsEntry | None

    @classmethod
    def from_case(cls, case: cases.Case, baseline: baselines.Baseline | None) -> Self | None:
        """The section of a case; None where its buckets, or those of the baseline, do not tell how the rates vary."""
        interval = interval_gates.find_interval(case, baseline)
        if interval is None:
            return None
        return cls(
            level=intervals.LEVEL,
            multiplier=interval.multiplier,
            low=interval.wider.low,
            high=interval.wider.high,
            method=interval.wider.method,
            batch_means=BoundsEntry.find(interval, "batch-means"),
            quasi_poisson=BoundsEntry.find(interval, "quasi-poisson"),
        )


class RuntimeBudget(models.Model):
    """`runtime_budget`: the seconds allowed and used. `stopped_by` None: no layer ended the last task."""

    budget_seconds: float
    elapsed_seconds: float | None
    budget_pass: bool
    operator_cap_seconds: float
    overshoot_seconds: float | None
    stopped_by: str | None
    layers: list[task_results.LayerEntry]
    outages: list[task_results.Outage]

    @classmethod
    def from_case(cls, case: cases.Case, answers: Sequence[gates.Gate]) -> Self:
        """The section of a case and its gates."""
        plan, result = case.plan, case.task_result.value
        budget = next(gate for gate in answers if _is_budget(gate))
        window = result.window if result else None
        stopped = [task for task in result.tasks if task.stopped_utc] if result else []
        last = max(stopped, key=lambda task: task.stopped_utc.timestamp() if task.stopped_utc else 0.0, default=None)
        return cls(
            budget_seconds=plan.budget.max,
            elapsed_seconds=window.seconds if window else None,
            budget_pass=budget.passed,
            operator_cap_seconds=plan.budget.cap_seconds,
            overshoot_seconds=_overshoot(result),
            stopped_by=last.stopped_by if last else None,
            layers=result.layers if result else [],
            outages=result.outages if result else [],
        )


def _is_budget(gate: gates.Gate) -> bool:
    """Whether it is burst's own gate, and no fact of that name."""
    return gate.name == gates.RUNTIME_BUDGET and isinstance(gate.blocker, catalogues.Role)


def _overshoot(result: task_results.TaskResult | None) -> float | None:
    """Seconds from the deadline to the last stop, 0 where all had stopped before it, None where either is unknown."""
    window = result.window if result else None
    if result is None or window is None or result.deadline_utc is None or result.unproven:
        return None
    return max(0.0, instants.seconds_between(result.deadline_utc, window.end))


class Cost(models.Model):
    """`cost`: the tasks' cost, estimated at list prices; None where preflight did not know their size."""

    estimated_usd: float | None
    at_cap_usd: float
    cost_cap_usd: float | None
    price_source: str

    @classmethod
    def from_case(cls, case: cases.Case) -> Self | None:
        """The section of a case, estimated from how long each task ran."""
        priced = case.preflight.value.cost if case.preflight.value else None
        result = case.task_result.value
        if priced is None or result is None:
            return None
        seconds = [
            instants.seconds_between(task.started_utc, task.stopped_utc)
            for task in result.tasks
            if task.started_utc is not None and task.stopped_utc is not None
        ]
        price = costs.Price(
            vcpu_hour_usd=priced.vcpu_hour_usd, gb_hour_usd=priced.gb_hour_usd, source=priced.price_source
        )
        size = costs.Size(vcpu=priced.vcpu, memory_gb=priced.memory_gb)
        return cls(
            estimated_usd=None if result.unproven else costs.usd(size, price, seconds),
            at_cap_usd=priced.at_cap_usd,
            cost_cap_usd=case.plan.budget.cost_cap_usd,
            price_source=priced.price_source,
        )


class CheckEntry(models.Model):
    """One question and its answer."""

    name: str
    value: models.Value
    expected: models.Value
    comparison: Comparison = None
    pass_: Pass

    @classmethod
    def from_gate(cls, gate: gates.Gate) -> Self:
        """The entry of one gate."""
        return cls(
            name=gate.name,
            value=gate.measured,
            expected=gate.required,
            comparison=_name_comparison(gate.comparison),
            pass_=gate.passed,
        )


class Checks(models.Model):
    """The questions of one subject; `pass` only where at least one was asked and all of them held."""

    checks: list[CheckEntry]
    pass_: Pass

    @classmethod
    def from_gates(cls, plan: plans.Plan, answers: Sequence[gates.Gate], *roles: catalogues.Role) -> Self:
        """The section of some roles: their own gates, and those of every blocker that is theirs in the plan's kind."""
        shorts = plan.catalogue.list_shorts(*roles)
        named = [gate for gate in answers if gate.blocker in roles or plan.catalogue.find_short(gate.blocker) in shorts]
        entries = [CheckEntry.from_gate(gate) for gate in named]
        return cls(checks=entries, pass_=bool(entries) and all(entry.pass_ for entry in entries))


class PriorRef(models.Model):
    """The snapshot a bounded rerun rests on, by digest; `key` is where the plan found it."""

    execution_id: str
    sha256: models.Digest
    key: str | None


class SourceRefs(models.Model):
    """`source_snapshot_refs`: the snapshots this one was made on."""

    prior: PriorRef | None
    baseline_snapshot_sha256: models.Digest | None

    @classmethod
    def from_sources(cls, plan: plans.Plan, baseline: baselines.Baseline | None, prior: blockers.Prior | None) -> Self:
        """The section of a usable baseline and a usable prior, each None where there is none."""
        key = plan.rerun.prior if plan.rerun else None
        return cls(
            prior=PriorRef(execution_id=prior.execution_id, sha256=prior.sha256, key=key) if prior else None,
            baseline_snapshot_sha256=baseline.snapshot_sha256 if baseline else None,
        )


class EvidenceRef(models.Model):
    """One document by digest. `prefix`: only its first `size` bytes are meant."""

    name: str
    sha256: models.Digest
    size: models.Count
    media_type: str
    keys: list[str]
    """Its keys in the plan's places, the authority first."""
    prefix: bool = False

    @classmethod
    def list_case(cls, case: cases.Case) -> list[Self]:
        """Every document of a case. The journal's digest is that of its prefix when the task result was frozen."""
        folders = case.plan.folders(case.execution_id)
        refs = [
            cls(
                name=name,
                sha256=canonical.digest(content),
                size=len(content),
                media_type="application/json",
                keys=[f"{folder}/{name}" for folder in folders],
                prefix=False,
            )
            for name, content in case.contents.items()
        ]
        journal = case.task_result.value.journal if case.task_result.value else None
        if journal is not None:
            refs.append(
                cls(
                    name=document_names.JOURNAL,
                    sha256=journal.sha256,
                    size=journal.size,
                    media_type="application/jsonl",
                    keys=[f"{folder}/{document_names.JOURNAL}" for folder in folders],
                    prefix=True,
                )
            )
        return sorted(refs, key=lambda ref: ref.name)


class GateEntry(models.Model):
    """One gate and its answer."""

    name: str
    blocker: str
    status: Literal["PASS", "FAIL", "INVALID"]
    measured: models.Value
    required: models.Value
    comparison: Comparison = None
    unit: str | None = None
    """The unit of `measured` and `required`; None where they have none."""
    mode: Literal["required", "informational"] = "required"
    """An informational gate opens nothing."""
    why: models.Words

    @classmethod
    def from_gate(cls, plan: plans.Plan, gate: gates.Gate) -> Self:
        """The entry of one gate, under the phase's id of its blocker."""
        return cls(
            name=gate.name,
            blocker=plan.blocker(gate.blocker),
            status=gate.status.value,
            measured=gate.measured,
            required=gate.required,
            comparison=_name_comparison(gate.comparison),
            unit=gate.unit,
            mode="informational" if gate.informational else "required",
            why=gate.why,
        )

    @property
    def short(self) -> str:
        """The short id of its blocker, which is the same in every phase of a kind."""
        return self.blocker.rpartition("-")[2]


class RegisterEntry(models.Model):
    """One blocker of the phase and where it stands."""

    blocker: str
    title: models.Words
    state: Literal["open", "cleared", "carried", "not-evaluated"]
    open: bool
    why: models.Words
    gates: list[str]
    prior_state: str | None
    changed_terms: list[str] = pydantic.Field(default_factory=list)
    """The keys of the changed terms that it was cleared by, here or where it is carried from."""
    unstated_terms: list[str] = pydantic.Field(default_factory=list)
    """The keys of the terms that a prior did not state, so that nothing is known of a change."""

    @classmethod
    def from_blocker(cls, entry: blockers.BlockerEntry) -> Self:
        """The entry of one blocker."""
        return cls(
            blocker=entry.blocker,
            title=entry.title,
            state=entry.state.value,
            open=entry.is_open,
            why=entry.why,
            gates=list(entry.gates),
            prior_state=entry.prior_state,
            changed_terms=list(entry.note.changed),
            unstated_terms=list(entry.note.unstated),
        )


class TermChangeEntry(models.Model):
    """One term that a rerun changed on purpose; null where it was not required."""

    key: str
    from_: Annotated[pydantic.JsonValue, pydantic.Field(alias="from")]
    to: pydantic.JsonValue
    why: str


class TermsEntry(models.Model):
    """Terms, by digest. `terms` holds each by its key; a term that is not required is absent."""

    sha256: models.Digest
    terms: dict[str, pydantic.JsonValue]
    unknown: list[str] = pydantic.Field(default_factory=list)
    """Terms that nobody can tell, by key, or by the first word of a group of them."""

    @classmethod
    def from_terms(cls, value: contract_terms.Terms) -> Self:
        """The entry of some terms."""
        return cls(sha256=value.sha256, terms=dict(value.values), unknown=list(value.unknown))


class ContractEntry(TermsEntry):
    """`contract`: the terms of the verdict; of a rerun also how they stand to those of its priors."""

    changes: list[TermChangeEntry] = pydantic.Field(default_factory=list)
    """The changes along the chain of priors, the first one first, each as its plan named it."""
    unstated: list[str] = pydantic.Field(default_factory=list)
    """The terms that a prior does not state."""
    held_to: TermsEntry | None = None
    """The terms that a rerun of this run is held to, where its own were refused (`same_contract`)."""

    @classmethod
    def from_contract(cls, contract: contracts.Contract) -> Self:
        """The section of a contract."""
        own = TermsEntry.from_terms(contract.terms)
        return cls(
            sha256=own.sha256,
            terms=own.terms,
            unknown=own.unknown,
            changes=[
                TermChangeEntry(key=change.key, from_=change.from_, to=change.to, why=change.why)
                for change in contract.changes
            ],
            unstated=list(contract.unstated),
            held_to=TermsEntry.from_terms(contract.held_to) if contract.held_to else None,
        )


class Hold(models.Model):
    """`hold`: why a run held, in a form in which two runs can be compared, and the command that repeats it."""

    signature: str
    """Each open blocker with its failing gates, in order: `B1:achieved_multiplier+admit_ratio B7:carried`."""
    command: str | None
    """None where the command line is not known, or a word of it is a secret, which nothing here says."""

    @classmethod
    def from_register(
        cls, register: Sequence[blockers.BlockerEntry], result: task_results.TaskResult | None
    ) -> Self | None:
        """The section of a register; None where no blocker is open."""
        opened = [entry for entry in register if entry.is_open]
        if not opened:
            return None
        parts = [
            f"{entry.blocker.rpartition('-')[2]}:" + ("+".join(_list_failing(entry)) or entry.state.value)
            for entry in opened
        ]
        command = _drop_id(result.command if result else [])
        repeats = bool(command) and not any(redaction.MASK in word for word in command)
        return cls(signature=" ".join(parts), command=shlex.join(command) if repeats else None)


def _list_failing(entry: blockers.BlockerEntry) -> list[str]:
    """The failing gates of a blocker that was decided here; of a carried one the prior has them."""
    return [] if entry.state is blockers.BlockerState.CARRIED else list(dict.fromkeys(entry.failing))


def _drop_id(words: Sequence[str]) -> list[str]:
    """A command line without the execution id, which one run alone may have."""
    option = "--execution-id"
    behind = {at + 1 for at, word in enumerate(words) if word == option}
    return [
        word
        for at, word in enumerate(words)
        if at not in behind and word != option and not word.startswith(f"{option}=")
    ]


class AttemptEntry(models.Model):
    """`attempt`: the number of the run among the attempts of its phase under one run control, over all contracts."""

    number: models.Count
    contract: models.Digest
    """The digest of the terms it was begun with."""
    earlier: list[attempts.EarlierAttempt]
    """Every attempt before it, the first one first, as it stood when this one began."""

    @classmethod
    def from_case(cls, case: cases.Case) -> Self | None:
        """The section of a case; None where its document is not this run's, or not there."""
        claimed = case.attempt.value
        if claimed is None or claimed.execution_id != case.execution_id:
            return None
        return cls(number=claimed.number, contract=claimed.contract, earlier=claimed.earlier)

    @property
    def words(self) -> str:
        """The attempt in words; empty where none before it held."""
        return attempts.describe(self.number, self.earlier, self.contract)


class Decision(models.Model):
    """`decision`: why the burst ended: the early stop, the halt or the stop sign where there was one.

    `unclear_signs`: the times in which a stop sign or the halt could not be read. `count_blindnesses`: those in which
    no live count came, so that no rule of early stop that needs counts could act.
    """

    stop_reason: str | None
    early_stop: task_results.EarlyStop | None
    ended: models.Words | None = None
    """Why the run ended before its window was complete, in a sentence; None where it was complete."""
    go_tasks: models.Count | None = None
    """How many tasks GO was given to, of `planned_tasks`; None where that is not known."""
    planned_tasks: models.Count | None = None
    halt: task_results.HaltEntry | None = None
    stop_sign: task_results.StopSignEntry | None = None
    unclear_signs: list[task_results.UnclearSign] = pydantic.Field(default_factory=list)
    count_blindnesses: list[task_results.CountBlindness] = pydantic.Field(default_factory=list)

    @classmethod
    def from_result(cls, result: task_results.TaskResult | None) -> Self:
        """The section of a task result."""
        if result is None:
            return cls(stop_reason=None, early_stop=None)
        return cls(
            stop_reason=result.stop_reason,
            early_stop=result.early_stop,
            ended=endings.explain_ending(result),
            go_tasks=result.go_tasks,
            planned_tasks=result.planned_tasks,
            halt=result.halt,
            stop_sign=result.stop_sign,
            unclear_signs=result.unclear_signs,
            count_blindnesses=result.count_blindnesses,
        )


Verifier = Annotated[
    dict[str, str],
    pydantic.WithJsonSchema(
        {
            "type": "object",
            "title": "Verifier",
            "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
            "required": ["name", "version"],
        }
    ),
]
"""The program and version that reached the verdict, kept as published: both are part of the bytes reached again."""
