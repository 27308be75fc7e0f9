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
    """The multiple of the baseline's rate that the plan asks for; None where it asks for none."""
    duration_minutes: float
    """The shortest window that can pass (`budget.min_window`), in minutes."""
    min_successful_admit_ratio: float | None
    """The least ADMIT / (ADMIT + DUPLICATE) that passes; None where the plan asks for none."""

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
    """ADMIT receipts of the reference run, or of all reference runs together."""
    seconds: float
    """How long those were counted, all runs together."""
    admits_per_minute: float
    """`admits` divided by `seconds`, times 60: the rate that the multiplier is taken of."""
    source: str
    """The run that the baseline was made from, or the words of a baseline that the plan gives inline."""
    checksum: models.Digest | None
    """The checksum of the baseline document; None of a baseline that the plan gives inline."""

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
    """The first start of a task, by its platform; None where no start is known."""
    end_utc: models.Instant | None
    """The last stop of a task that the evidence allows; None where no stop is known."""
    elapsed_seconds: float | None
    """From `start_utc` to `end_utc`, computed from the tasks' own times; None where one of the two is not known."""
    counted_window: window_metrics.WindowEntry | None
    """The window of the counts; None where nothing was counted."""
    tasks: list[task_results.TaskEntry]
    """Every task, copied from the task result."""
    stop_asked_utc: models.Instant | None = None
    """When this run first asked its tasks to end; None where it did not, or where that is not known."""
    load_ended_utc: models.Instant | None = None
    """The earliest end of the load that the evidence allows, to which `duration_seconds` is measured; None without a
    count."""

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
    """The measured figure; None where it could not be measured, or no gate asked for it."""
    threshold: float | None
    """What it was held to; None where no gate asked for it."""
    pass_: Annotated[bool | None, pydantic.Field(alias="pass")]
    """Whether the gate passed; None where none asked."""

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
    """The rate of the counted window divided by the baseline's rate."""
    admit_ratio: LoadCheck
    """ADMIT / (ADMIT + DUPLICATE) of the counted window."""
    duration_seconds: LoadCheck
    """From the beginning of the counted window to the earliest end of the load that the evidence allows."""
    counts: window_metrics.CountsEntry | None
    """The receipts of the counted window; None where nothing was counted."""
    admits_per_minute: float | None
    """ADMIT receipts a minute, over the whole counted window; None where nothing was counted."""
    no_data: bool
    """Whether there is no receipt at all in the counted window, or no count."""

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
    """The lower bound of the multiplier by this method."""
    high: float
    """The upper bound of the multiplier by this method."""
    parts: models.Count
    """Batches of five minutes of the burst, or its whole minutes."""
    baseline_parts: models.Count
    """Batches, or whole minutes, of the reference runs."""
    dispersion: float | None
    """How much more the minutes of the burst vary than independent events; None of batch means."""
    baseline_dispersion: float | None
    """The same of the reference runs; None of batch means."""

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
    """The share of repetitions whose interval holds the true multiplier: 0.95."""
    multiplier: float
    """The multiplier that the interval lies around."""
    low: float
    """The lower bound by the wider method; `gates.multiplier_lower` is held against it."""
    high: float
    """The upper bound by the wider method."""
    method: intervals.Method
    """The method whose interval is the wider."""
    batch_means: BoundsEntry | None
    """The interval by the means of five-minute batches; None where there are fewer than two."""
    quasi_poisson: BoundsEntry | None
    """The interval by the dispersion of whole minutes; None where there are fewer than five."""

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
    """The most that the contract allows (`budget.max`)."""
    elapsed_seconds: float | None
    """From the first start of a task to the last stop that is known; None where there is no such pair."""
    budget_pass: bool
    """Whether the gate `runtime_budget` passes."""
    operator_cap_seconds: float
    """The seconds that this attempt was allowed; the deadline ends them."""
    overshoot_seconds: float | None
    """From the deadline to the last stop, 0 where that came first; None where one of the two is not known."""
    stopped_by: str | None
    """The layer that ended the task that stopped last; None where no layer did, or no task was seen to stop."""
    layers: list[task_results.LayerEntry]
    """The layers of the hard stop, copied from the task result."""
    outages: list[task_results.Outage]
    """The times in which the launcher could not see the tasks, copied from the task result."""

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
    """The cost of the tasks for the seconds that each ran, in USD; None where an end was not seen."""
    at_cap_usd: float
    """The cost in USD had every task run until the deadline."""
    cost_cap_usd: float | None
    """The most that the plan allows (`budget.cost_cap_usd`); None where it sets no limit."""
    price_source: str
    """Where the prices are from: a list and its day, an assumption where no list has them, or the plan."""

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
    """The name of the gate that the answer is of."""
    value: models.Value
    """The measured value; None where it could not be had."""
    expected: models.Value
    """The value that it was held to."""
    comparison: Comparison = None
    """How `value` has to stand to `expected`; None where nothing is compared, or an older version did not say."""
    pass_: Pass
    """Whether the answer is PASS."""

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
    """Each gate of the subject with its answer; none where the plan asks nothing of it."""
    pass_: Pass
    """Whether at least one gate was asked and all of them pass."""

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
    """The prior run."""
    sha256: models.Digest
    """SHA-256 of the prior snapshot's bytes."""
    key: str | None
    """Where the plan found the prior snapshot (`rerun.prior`)."""


class SourceRefs(models.Model):
    """`source_snapshot_refs`: the snapshots this one was made on."""

    prior: PriorRef | None
    """The snapshot that a bounded rerun carries blockers from; None where the run is none, or it cannot be used."""
    baseline_snapshot_sha256: models.Digest | None
    """SHA-256 of the snapshot of the reference run; None of a baseline that the plan gives inline."""

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
    """The file name of the document in the run's folder."""
    sha256: models.Digest
    """SHA-256 of the document's bytes; with `prefix` of its first `size` bytes."""
    size: models.Count
    """How many bytes the digest is of."""
    media_type: str
    """What the bytes are: `application/json`, or `application/jsonl` for the journal."""
    keys: list[str]
    """Its addresses in the plan's S3 places, the authority first; none where the plan names no place."""
    prefix: bool = False
    """Whether the document may be longer than `size`: only the journal is."""

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
    """The name of the gate, as `burst schema gates` lists it, or of a fact or an observed series."""
    blocker: str
    """The blocker that it stands behind, with the phase's prefix, such as `M10F-B1`."""
    status: Literal["PASS", "FAIL", "INVALID"]
    """PASS, FAIL where the facts say no, INVALID where they are missing or not to be trusted."""
    measured: models.Value
    """What was measured; None where it could not be had, or JSON holds no such number."""
    required: models.Value
    """What it was held to; words where the requirement is none of a number."""
    comparison: Comparison = None
    """How `measured` has to stand to `required`; None where nothing is compared, or an older version did not say."""
    unit: str | None = None
    """The unit of `measured` and `required`; None where they have none."""
    mode: Literal["required", "informational"] = "required"
    """An informational gate is answered and shown, and opens nothing."""
    why: models.Words
    """The answer in words; a later version may word it otherwise."""

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
    """Its id, with the phase's prefix, such as `M10F-B1`."""
    title: models.Words
    """What the blocker is about, in the catalogue of the phase's kind."""
    state: Literal["open", "cleared", "carried", "not-evaluated"]
    """`carried` from the prior, `not-evaluated` where no gate asked, else open or cleared by this run."""
    open: bool
    """Whether it counts as open, in whatever state: the verdict is PASS where none does."""
    why: models.Words
    """The reason of its state in words."""
    gates: list[str]
    """The names of the gates behind it that were asked in this run."""
    prior_state: str | None
    """Its state in the prior snapshot; None of a blocker that this run decides by itself."""
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
    """The key of the term, as `contract.terms` spells it."""
    from_: Annotated[pydantic.JsonValue, pydantic.Field(alias="from")]
    """Its value in the prior; null where the prior did not require it."""
    to: pydantic.JsonValue
    """Its value in this run; null where this run does not require it."""
    why: str
    """The reason that the plan gives for the change."""


class TermsEntry(models.Model):
    """Terms, by digest. `terms` holds each by its key; a term that is not required is absent."""

    sha256: models.Digest
    """SHA-256 of the terms' canonical bytes: runs of one contract have the same."""
    terms: dict[str, pydantic.JsonValue]
    """What the verdict was judged by, each by its key; a term that is not required is absent."""
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
    """The command line that repeats the run; None where it is not known or holds a secret, which nothing here says."""

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
    """How many attempts at the phase were begun under this run control up to this one, from 1."""
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
    """The word for why the burst ended, such as `window-complete`; a detail may follow a colon. None where the task
    result does not say it."""
    early_stop: task_results.EarlyStop | None
    """The rule that ended the burst early; None where none did."""
    ended: models.Words | None = None
    """Why the run ended before its window was complete, in a sentence; None where it was complete."""
    go_tasks: models.Count | None = None
    """How many tasks GO was given to, of `planned_tasks`; None where that is not known."""
    planned_tasks: models.Count | None = None
    """How many tasks the plan asks for; None where that is not known."""
    halt: task_results.HaltEntry | None = None
    """The halt that stopped the run; None where none did."""
    stop_sign: task_results.StopSignEntry | None = None
    """The alarm or fact of `stop_when` that stopped the run; None where none did."""
    unclear_signs: list[task_results.UnclearSign] = pydantic.Field(default_factory=list)
    """The times in which a stop sign or the halt could not be read."""
    count_blindnesses: list[task_results.CountBlindness] = pydantic.Field(default_factory=list)
    """The times in which no live count came, so that rules that need counts could not act."""

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
            "properties": {
                "name": {"type": "string", "description": "The program that reached the verdict."},
                "version": {"type": "string", "description": "Its version; another one may word sentences otherwise."},
            },
            "required": ["name", "version"],
        }
    ),
]
"""The program and version that reached the verdict, kept as published: both are part of the bytes reached again."""
