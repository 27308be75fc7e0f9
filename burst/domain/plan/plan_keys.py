"""The keys of a plan, with its bounded rerun, which may name any of them."""

import re
import typing
from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import naming
from burst.domain.plan import (
    budget_sections,
    catalogues,
    drill_sections,
    entry_sections,
    evidence_sections,
    fact_sections,
    field_types,
    gate_sections,
    load_sections,
    observe_sections,
    outlet_sections,
    receipts_sections,
    reproduction_sections,
    sections,
    target_sections,
)

SCHEMA = "burst.plan/v1"
MOST_STOP_SIGNS = 20
"""Each is asked every few seconds, on a thread of its own."""

MOST_DRILLS = 20


class ChangeSection(sections.Section):
    """One term that a rerun changes on purpose, from the prior's value to its own, and why.

    `from` or `to` is left out where the term is not required there.
    """

    key: Annotated[str, pydantic.Field(pattern=r"^(stop_when\.arn:.*)?\S+$")]
    """The term, as the contract names it."""
    from_: Annotated[field_types.TermValue, pydantic.Field(alias="from")] = None
    """Its value in the prior."""
    to: field_types.TermValue = None
    """Its value now."""
    why: Annotated[str, pydantic.Field(min_length=1)]
    """Why it changes."""


class RerunSection(pydantic.BaseModel):
    """A bounded rerun: these blockers may change; all others are carried from the prior snapshot."""

    model_config = sections.STRICT

    only: Annotated[list[str], pydantic.Field(min_length=1)]
    """The blockers that may change."""
    prior: str | None = None
    """The run, or its snapshot, that the others are carried from."""
    prior_sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The digest of that snapshot."""
    changes: Annotated[
        list[ChangeSection] | None,
        pydantic.Field(description="The terms that differ from the prior's on purpose; any other opens B4."),
    ] = None
    non_goals: Annotated[
        list[str],
        pydantic.Field(description="Sentences; a key of the plan, such as target.tasks, has to stay as in the prior."),
    ] = []

    @pydantic.field_validator("changes")
    @classmethod
    def _distinct_changes(cls, value: list[ChangeSection] | None) -> list[ChangeSection] | None:
        earlier = set[str]()
        for index, change in enumerate(value or ()):
            if change.key in earlier:
                raise field_types.Misfit((index, "key"), f"each term once, but {change.key} stands twice")
            if change.from_ == change.to:
                raise field_types.Misfit((index, "to"), "another value than from")
            earlier.add(change.key)
        return value

    @pydantic.field_validator("non_goals")
    @classmethod
    def _known_keys(cls, value: list[str]) -> list[str]:
        for index, words in enumerate(value):
            section, dot, _ = words.partition(".")
            if dot and names_key(section) and not re.search(r"\s", words) and not names_key(words):
                raise field_types.Misfit((index,), "a sentence, or a key of the plan: this one would be kept by nobody")
        return value

    @property
    def term_changes(self) -> tuple[ChangeSection, ...]:
        """The changes of terms that it names."""
        return tuple(self.changes or ())

    @property
    def guarded_keys(self) -> tuple[str, ...]:
        """The non-goals that are keys of a plan: their values have to be the prior's."""
        return tuple(words for words in self.non_goals if names_key(words))


class PlanKeys(pydantic.BaseModel):
    """The keys of a plan, and what the phase and its kind make of them. `plans.Plan` is the whole, valid plan."""

    model_config = sections.STRICT

    schema_: Annotated[Literal["burst.plan/v1"], pydantic.Field(alias="schema")]
    """The form of the plan."""
    kind: Annotated[
        catalogues.Kind,
        pydantic.Field(strict=False, description="The kind of the phase: it says which blockers there are."),
    ] = catalogues.Kind.BURST
    phase: Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")]
    """Names the documents (M10.F: m10_f_...) and the blockers (M10F-B1)."""
    scope: field_types.Name
    """The id under which receipts are counted; fresh makes one for each run."""
    environment: Literal["local", "dev", "ci", "staging", "pilot", "prod"]
    """Where the system under load stands; some stores are refused outside local, dev and ci."""
    execution_id: Annotated[str, pydantic.Field(pattern=field_types.RUN_ID_PATTERN)] | None = None
    """The id of the run, as burst itself writes it; a plan of yours leaves it out."""
    target: target_sections.TargetSection
    """Where tasks run, and how many."""
    load: load_sections.LoadSection
    """The events to send, the host that gets them, and the rate."""
    layers: budget_sections.LayersSection = budget_sections.LayersSection()
    """The ways in which every task ends at its deadline."""
    budget: budget_sections.BudgetSection
    """How long a run may and has to last."""
    receipts: receipts_sections.ReceiptsSection
    """Where the ingest's answers are counted."""
    baseline: receipts_sections.BaselineSection | None = None
    """The rate that the multiplier divides by."""
    gates: gate_sections.GatesSection
    """What the window has to reach."""
    facts: list[fact_sections.FactSection] = []
    """Questions behind blockers; one that nothing is asked about is not evaluated, which counts as open."""
    stop_when: Annotated[list[fact_sections.StopSignSection], pydantic.Field(max_length=MOST_STOP_SIGNS)] | None = None
    """Facts and alarms that stop a run; such a run never passes."""
    requires: Annotated[
        entry_sections.RequiresSection | None,
        pydantic.Field(description="What has to be true before the run may begin; asked before anything is launched."),
    ] = None
    observe: observe_sections.ObserveSection | None = None
    """Series that are asked from before GO until after the last stop."""
    rerun: RerunSection | None = None
    """Makes the run a bounded rerun: the blockers that may change, and what the others are carried from."""
    services: list[target_sections.ServiceSection] = []
    """ECS services that are scaled for the run, and put back."""
    before: list[target_sections.OneShotSection] = []
    """Programs that run once before launch."""
    after: list[target_sections.OneShotSection] = []
    """Programs that run once after the last task has stopped."""
    reproduces: Annotated[
        reproduction_sections.ReproducesSection | None,
        pydantic.Field(description="The run that this one repeats; required of kind reproducibility."),
    ] = None
    during: Annotated[
        list[drill_sections.DrillSection] | None,
        pydantic.Field(max_length=MOST_DRILLS, description="Faults that the run causes in its window, in order."),
    ] = None
    evidence: evidence_sections.EvidenceSection = evidence_sections.EvidenceSection()
    """Where documents go."""
    outlets: Annotated[
        outlet_sections.OutletsSection | None,
        pydantic.Field(description="Who is told how the run goes; no outlet changes a verdict."),
    ] = None

    @pydantic.field_validator("execution_id")
    @classmethod
    def _own_folder(cls, value: str | None) -> str | None:
        if value in naming.FOLDERS_OF_ALL_RUNS:
            raise ValueError(f"expected another id: {value} is a folder that burst keeps beside those of the runs")
        return value

    @pydantic.field_validator("facts")
    @classmethod
    def _distinct_facts(cls, value: list[fact_sections.FactSection]) -> list[fact_sections.FactSection]:
        earlier = set()
        for index, fact in enumerate(value):
            if (fact.blocker, fact.name) in earlier:
                why = f"distinct names, but {fact.name!r} of {fact.blocker} stands twice"
                raise field_types.Misfit((index, "name"), why)
            earlier.add((fact.blocker, fact.name))
        return value

    @pydantic.field_validator("stop_when")
    @classmethod
    def _distinct_signs(
        cls, value: list[fact_sections.StopSignSection] | None
    ) -> list[fact_sections.StopSignSection] | None:
        earlier = set[str]()
        for index, entry in enumerate(value or []):
            if entry.sign in earlier:
                key = "name" if entry.alarm is None else "alarm"
                raise field_types.Misfit((index, key), f"distinct alarms and names, but {entry.sign} stands twice")
            earlier.add(entry.sign)
        return value

    @property
    def entry_questions(self) -> dict[str, entry_sections.EntryQuestion | None]:
        """The entries of `requires`, each by the name of its entry gate."""
        return self.requires.questions if self.requires else {}

    @property
    def stop_signs(self) -> tuple[fact_sections.StopSignSection, ...]:
        """The alarms and facts of `stop_when`."""
        return tuple(self.stop_when or ())

    @property
    def drills(self) -> tuple[drill_sections.DrillSection, ...]:
        """The faults of `during`, in order."""
        return tuple(self.during or ())

    @property
    def observed_series(self) -> tuple[observe_sections.SeriesSection, ...]:
        """The series of `observe`."""
        return tuple(self.observe.series) if self.observe else ()

    @property
    def observed_gates(self) -> frozenset[str]:
        """The names of the gates of observed series."""
        return frozenset(
            f"observed:{series.name}.{rule.name}" for series in self.observed_series for rule in series.rules
        )

    @property
    def observed_blockers(self) -> frozenset[str]:
        """The blockers that the rules of observed series open."""
        return frozenset(rule.blocker for series in self.observed_series for rule in series.rules)

    @property
    def slug(self) -> str:
        """Prefix of document names: `m10_f`."""
        return self.phase.lower().replace(".", "_")

    @property
    def group(self) -> str:
        """The phase's group, as S3 places and execution ids spell it: `m10`."""
        return self.phase.lower().split(".")[0]

    @property
    def catalogue(self) -> catalogues.Catalogue:
        """The blockers of the plan's kind."""
        return catalogues.CATALOGUES[self.kind]

    def blocker(self, behind: catalogues.Role | str) -> str:
        """The phase's id of the blocker of a role, or of a short id: `B1` is `M10F-B1`."""
        return f"{self.phase.replace('.', '')}-{self.catalogue.find_short(behind)}"

    @property
    def asked_roles(self) -> frozenset[catalogues.Role]:
        """The roles about which the plan asks by a key of its own, beside its facts."""
        sections_by_role = {
            catalogues.Role.CONTIGUITY: self.gates.contiguity,
            catalogues.Role.OUTCOME: self.gates.expect_duplicates,
            catalogues.Role.BASELINE: self.gates.asks_for_baseline or None,
            catalogues.Role.RESTART: self.during,
            catalogues.Role.RTO: self.during,
        }
        by_reference = {
            *(catalogues.Role.BASELINE, catalogues.Role.MATCH, catalogues.Role.KEYSET, catalogues.Role.SHARES)
        }
        roles = frozenset(role for role, section in sections_by_role.items() if section is not None)
        return roles | (by_reference if self.reproduces is not None else frozenset())

    @property
    def named_blockers(self) -> frozenset[str]:
        """The blockers that a fact, or a rule of an observed series, names."""
        return self.observed_blockers.union(fact.blocker for fact in self.facts)

    @property
    def silent_blockers(self) -> tuple[str, ...]:
        """The blockers that stay open because the plan asks nothing about them, by the phase's ids."""
        answered = self.catalogue.list_shorts(*self.asked_roles)
        silent = (self.blocker(short) for short in self.catalogue.asked if short not in answered)
        return tuple(blocker for blocker in silent if blocker not in self.named_blockers)

    @property
    def blockers_carried_from_nothing(self) -> tuple[str, ...]:
        """The blockers that a bounded rerun does not judge, where no prior snapshot says how they stand: they stay
        open."""
        if self.rerun is None or self.rerun.prior is not None:
            return ()
        return tuple(blocker for blocker in self.blockers if blocker not in self.rerun.only)

    @property
    def fact_shorts(self) -> tuple[str, ...]:
        """The short ids of the blockers that take facts: those that rest on them, and those that a fact, or a rule of
        an observed series, names."""
        shorts, named = self.catalogue.shorts, self.named_blockers
        return tuple(short for short in shorts if short in self.catalogue.asked or self.blocker(short) in named)

    @property
    def blockers(self) -> tuple[str, ...]:
        """Every blocker id of the phase, in order."""
        return tuple(self.blocker(short) for short in self.catalogue.shorts)

    def reaper(self, account: str) -> target_sections.ReaperSection:
        """The reaper that the plan names, or the environment's, under the name that burst's infrastructure gives it."""
        return self.target.reaper or target_sections.ReaperSection(
            task_definition=f"burst-{self.environment}-reaper",
            role_arn=f"arn:aws:iam::{account}:role/burst-{self.environment}-scheduler",
            group=f"burst-{self.environment}",
        )

    @property
    def counter(self) -> str:
        """The counting task's definition: the plan's, or the environment's."""
        return self.receipts.counting_task.task_definition or f"burst-{self.environment}-counter"


def names_key(words: str) -> bool:
    """Whether words are a dotted key of a plan, such as `target.tasks`."""
    section: type[pydantic.BaseModel] | None = PlanKeys
    steps = words.split(".")
    for index, step in enumerate(steps):
        fields = section.model_fields.items() if section else ()
        step_field = next((field for name, field in fields if (field.alias or name) == step), None)
        if step_field is None:
            return False
        if _holds_mapping(step_field.annotation):
            return all(steps[index + 1 :]) and len(steps) <= index + 2
        section = _find_section(step_field.annotation)
    return True


def _holds_mapping(annotation: Any) -> bool:
    """Whether a key holds a mapping whose keys the operator chooses, such as `load.environment`."""
    origins = (typing.get_origin(annotation), *map(typing.get_origin, typing.get_args(annotation)))
    return dict in origins


def _find_section(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The section that a key may hold; None where it holds a value, or a list."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    if typing.get_origin(annotation) is list:
        return None
    return next(filter(None, map(_find_section, typing.get_args(annotation))), None)
