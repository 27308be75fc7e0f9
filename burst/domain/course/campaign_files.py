"""Campaign files: the order for phases in their sequence, parsed as strictly as a plan, each mistake with its line."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic

from burst.domain.plan import evidence_sections, field_types, sections, written_files, yaml_lines

SCHEMA: Literal["burst.campaign/v1"] = "burst.campaign/v1"
Family = Literal["semantic", "incident_drill", "scale", "reproducibility"]
FAMILIES: tuple[Family, ...] = ("semantic", "incident_drill", "scale", "reproducibility")
"""The families of evidence that a roll-up needs."""
StepKind = Literal["plan", "compare", "promote", "stage", "one_shot", "rollup"]
KINDS: tuple[StepKind, ...] = ("plan", "compare", "promote", "stage", "one_shot", "rollup")
StepName = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Word = Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9_]{1,80}$")]
Argv = Annotated[list[Annotated[str, pydantic.Field(min_length=1)]], pydantic.Field(min_length=1, max_length=200)]
PlanKey = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z_]*(\.[A-Za-z0-9_]+)*$")]
SettingName = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_.]{0,62}$")]
_REFERENCE = re.compile(r"\{([a-z][a-z0-9_]*)\.(run|sha256)\}")


class CampaignBudget(sections.Section):
    """The time and the money of all steps together. No step begins that could not end inside them."""

    max: field_types.PositiveDuration
    """How long all steps may take together."""
    cost_cap_usd: Annotated[float, pydantic.Field(gt=0)] | None = None
    """What all steps may cost together, in dollars."""


class EntryGate(sections.Section):
    """One snapshot that has to be sound, and to have this verdict, before a step begins: of an earlier step, by the
    digest in the journal, or of any place, by the digest in the file."""

    step: StepName | None = None
    """The earlier step whose snapshot is asked."""
    snapshot: str | None = None
    """The place of a snapshot of another campaign or run."""
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The digest of that snapshot; a step of this campaign has its own in the journal."""
    verdict: Literal["PASS", "HOLD"] = "PASS"
    """The verdict that the snapshot has to have."""

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.step is None) == (self.snapshot is None):
            raise field_types.Misfit(("step",), "either step, or snapshot with sha256")
        if self.snapshot is not None and self.sha256 is None:
            raise field_types.Misfit(("sha256",), "the digest of the snapshot: a place alone may come to hold another")
        return self


class OneShotStep(sections.Section):
    """A command of this machine that runs to its end under guard."""

    command: Argv
    """The words of the command; {STEP.run} and {STEP.sha256} stand for an earlier step's run and digest."""
    timeout: field_types.PositiveDuration
    """How long it may run."""
    exit_code: Annotated[int, pydantic.Field(ge=0, le=255)] = 0
    """The exit code of success."""


class CompareStep(sections.Section):
    """`burst compare` of two runs: each a step, or a place."""

    base: str
    """The run that is compared with: {STEP.run}, or a place."""
    candidate: str
    """The run that is compared: {STEP.run}, or a place."""
    score: str
    """The score file."""
    active: str | None = None
    """The records of the active baselines, to which an UNLOCK adds one."""
    timeout: field_types.PositiveDuration = 600.0
    """How long it may run."""


class PromoteStep(sections.Section):
    """`burst baseline promote` of runs: each a step, or a place."""

    runs: Annotated[list[str], pydantic.Field(min_length=1, max_length=50)]
    """The runs of the block: {STEP.run}, or places."""
    measure: str | None = None
    """The figure that the block is judged by, as a JSON pointer."""
    gate: str | None = None
    """The gate that is promoted."""
    timeout: field_types.PositiveDuration = 600.0
    """How long it may run."""


class StageStep(sections.Section):
    """Staged changes of a database, as `burst db stage` makes them."""

    file: str
    """The stage file."""
    dsn: field_types.SecretReference
    """A reference to the DSN of the database that is changed."""
    timeout: field_types.PositiveDuration = 3600.0
    """How long they take at most, as far as the budget of the campaign is concerned."""


class RollupStep(sections.Section):
    """The verdict over the snapshots of steps, in the words of the team."""

    phase: Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")]
    """The phase of the roll-up's own snapshot."""
    advance: Word = "ADVANCE"
    """The word of the verdict where everything passed."""
    hold: Word = "HOLD"
    """The word of the verdict where anything did not."""
    families: Annotated[dict[Family, Annotated[list[StepName], pydantic.Field(min_length=1)]], pydantic.Field()]
    """The steps that stand for each family of evidence."""
    require: list[Family] = pydantic.Field(default_factory=lambda: list(FAMILIES))
    """The families without which nothing advances."""
    timeout: field_types.PositiveDuration = 600.0
    """How long it may run."""


class DatabaseOverride(sections.Section):
    """Settings of a database for one step, made and put back as staged changes."""

    dsn: field_types.SecretReference
    """A reference to the DSN of the database."""
    settings: Annotated[dict[SettingName, str], pydantic.Field(min_length=1, max_length=50)]
    """The settings by their name, each with its value during the step."""
    timeout: field_types.PositiveDuration = 300.0
    """How long setting them, and putting them back, may take."""


class Overrides(sections.Section):
    """What one step has otherwise than its plan says. All of it is put back with the step."""

    concurrency: Annotated[int, pydantic.Field(ge=1, le=1000)] | None = None
    """The number of its tasks (`target.tasks`)."""
    services: dict[field_types.Name, Annotated[int, pydantic.Field(ge=0, le=10_000)]] = pydantic.Field(
        default_factory=dict
    )
    """The tasks of each service during the step, by its name."""
    plan: dict[PlanKey, field_types.TermValue] = pydantic.Field(default_factory=dict)
    """Keys of the plan with their value in this step."""
    database: DatabaseOverride | None = None
    """Settings of a database during the step."""


class Sweep(sections.Section):
    """One step run once for each value of a key of its plan, with the measure that the value moved."""

    key: PlanKey
    """The key of the plan that is swept."""
    values: Annotated[list[field_types.TermValue], pydantic.Field(min_length=2, max_length=50)]
    """Its values, one run each."""
    measure: Annotated[str, pydantic.Field(pattern=r"^/")]
    """A JSON pointer into the snapshot."""


class StepSection(sections.Section):
    """One step: of one kind, after the steps it depends on."""

    name: StepName
    """The name by which other steps, the journal and commands know it."""
    plan: str | None = None
    """The plan that is run."""
    compare: CompareStep | None = None
    """Two runs that are compared."""
    promote: PromoteStep | None = None
    """Runs that promote a gate."""
    stage: StageStep | None = None
    """Staged changes of a database."""
    one_shot: OneShotStep | None = None
    """A command of this machine."""
    rollup: RollupStep | None = None
    """The verdict over the snapshots of earlier steps."""
    depends_on: list[StepName] = pydantic.Field(default_factory=list)
    """The steps that have to have passed before it begins."""
    entry: list[EntryGate] = pydantic.Field(default_factory=list)
    """Snapshots that have to have a verdict before it begins, where PASS of depends_on is not enough."""
    pause: Literal["before", "on_regression"] | None = None
    """before: a person lets it begin. on_regression: a person lets the campaign go on where the step did worse."""
    overrides: Overrides | None = None
    """What it has otherwise than its plan says."""
    sweep: Sweep | None = None
    """A key of its plan that takes several values, one run each."""
    measures: Annotated[list[Annotated[str, pydantic.Field(pattern=r"^/")]], pydantic.Field(max_length=20)] = (
        pydantic.Field(default_factory=list)
    )
    """JSON pointers into the snapshot: the table of overrides shows what stood there."""
    undo: OneShotStep | None = None
    """The command that takes the step back where the campaign is stopped."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise field_types.Misfit(("name",), f"one of {', '.join(KINDS)} beside it")
        if self.plan is None:
            for key in ("overrides", "sweep"):
                if getattr(self, key) is not None:
                    raise field_types.Misfit((key,), "nothing: only a step with a plan has it")
        if self.plan is None and self.measures:
            raise field_types.Misfit(("measures",), "nothing: only a step with a plan has a snapshot to read")
        if self.pause == "on_regression" and (self.plan is None or not self.depends_on):
            raise field_types.Misfit(("pause",), "before; on_regression needs a plan, and a step in depends_on")
        if self.sweep is not None and self.overrides is not None and self.sweep.key in self.overrides.plan:
            raise field_types.Misfit(("sweep", "key"), "a key that overrides.plan does not set")
        return self

    @property
    def kind(self) -> StepKind:
        """Which of the kinds it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def gates(self) -> tuple[EntryGate, ...]:
        """The entry gates, with the PASS of each step it depends on."""
        named = {gate.step for gate in self.entry}
        return (*(EntryGate(step=name) for name in self.depends_on if name not in named), *self.entry)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of its sweep; one None without a sweep, for its one run."""
        return (None,) if self.sweep is None else tuple(self.sweep.values)

    @property
    def is_tabled(self) -> bool:
        """Whether a table of what was overridden, beside what was measured, belongs to it."""
        return self.sweep is not None or self.overrides is not None

    @property
    def measured(self) -> tuple[str, ...]:
        """The pointers of its table."""
        swept = () if self.sweep is None else (self.sweep.measure,)
        return tuple(dict.fromkeys([*swept, *self.measures]))

    def list_settings(self, index: int) -> tuple[str, ...]:
        """The overrides of one run as `KEY=VALUE` of the plan, the sweep's last; services are not among them."""
        keys: dict[str, Any] = {}
        if self.overrides is not None:
            keys |= {} if self.overrides.concurrency is None else {"target.tasks": self.overrides.concurrency}
            keys |= self.overrides.plan
        if self.sweep is not None:
            keys[self.sweep.key] = self.sweep.values[index]
        return tuple(f"{key}={json.dumps(value)}" for key, value in keys.items())


class CampaignFile(sections.Section):
    """The whole file: steps in the order in which they are taken."""

    schema_: Annotated[Literal["burst.campaign/v1"], pydantic.Field(alias="schema")]
    name: StepName
    """The name of the campaign, with which its id begins."""
    environment: Literal["local", "dev", "ci", "staging", "pilot", "prod"]
    """The environment of all steps."""
    scope: field_types.Name | None = None
    """The scope of every plan; without it each plan has its own."""
    budget: CampaignBudget
    """The time and the money of all steps together."""
    evidence: evidence_sections.EvidenceSection = evidence_sections.EvidenceSection()
    """Where the campaign keeps its folder, and its journal on S3."""
    steps: Annotated[list[StepSection], pydantic.Field(min_length=1, max_length=100)]
    """The steps, in the order in which they are taken."""

    @pydantic.model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.evidence.sign is not None:
            raise field_types.Misfit(("evidence", "sign"), "nothing: a roll-up is not signed; sign the plans' evidence")
        earlier: dict[str, StepSection] = {}
        for index, step in enumerate(self.steps):
            if step.name in earlier:
                raise field_types.Misfit(("steps", index, "name"), f"distinct names, but {step.name} stands twice")
            for key, named in _list_named(step):
                if named not in earlier:
                    before = ", ".join(earlier) or "there is none"
                    raise field_types.Misfit(("steps", index, *key), f"a step before it: {before}")
            _refuse_uncovered(step, index, earlier)
            if step.plan is not None and any(before.rollup is not None for before in earlier.values()):
                raise field_types.Misfit(("steps", index, "plan"), "no plan after the roll-up: it would be left out")
            earlier[step.name] = step
        return self

    def step(self, name: str) -> StepSection:
        """The step of a name. Raises LookupError."""
        for step in self.steps:
            if step.name == name:
                return step
        raise LookupError(f"{name!r} is no step; allowed: {', '.join(step.name for step in self.steps)}")

    def document(self) -> dict[str, Any]:
        """The JSON value of the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _list_named(step: StepSection) -> list[tuple[yaml_lines.Path, str]]:
    """Every step that a step names, with the key that names it."""
    named: list[tuple[yaml_lines.Path, str]] = [
        (("depends_on", index), name) for index, name in enumerate(step.depends_on)
    ]
    named += [(("entry", index, "step"), gate.step) for index, gate in enumerate(step.entry) if gate.step is not None]
    if step.rollup is not None:
        for family, members in step.rollup.families.items():
            named += [(("rollup", "families", family, index), name) for index, name in enumerate(members)]
    for key, text in _list_texts(step):
        named += [(key, match[1]) for match in _REFERENCE.finditer(text)]
    return named


def _list_texts(step: StepSection) -> list[tuple[yaml_lines.Path, str]]:
    """The texts in which `{STEP.run}` and `{STEP.sha256}` stand for the run of a step and its snapshot's digest."""
    texts: list[tuple[yaml_lines.Path, str]] = []
    for key in ("one_shot", "undo"):
        shot: OneShotStep | None = getattr(step, key)
        texts += [((key, "command", index), word) for index, word in enumerate(shot.command if shot else ())]
    if step.compare is not None:
        texts += [(("compare", key), getattr(step.compare, key)) for key in ("base", "candidate")]
    if step.promote is not None:
        texts += [(("promote", "runs", index), run) for index, run in enumerate(step.promote.runs)]
    if step.overrides is not None:
        texts += [
            (("overrides", "plan", key), value) for key, value in step.overrides.plan.items() if isinstance(value, str)
        ]
    return texts


def _refuse_uncovered(step: StepSection, index: int, earlier: Mapping[str, StepSection]) -> None:
    """Raises where a roll-up leaves out a phase that the campaign ran: what holds cannot be left out of the sum."""
    if step.rollup is None:
        return
    covered = {name for members in step.rollup.families.values() for name in members}
    missing = [name for name, section in earlier.items() if section.plan is not None and name not in covered]
    if missing:
        raise field_types.Misfit(
            ("steps", index, "rollup", "families"), f"every plan before it in a family; missing: {', '.join(missing)}"
        )
    strange = [name for name in covered if earlier[name].plan is None]
    if strange:
        raise field_types.Misfit(
            ("steps", index, "rollup", "families"), f"steps with a plan alone, and not {', '.join(strange)}"
        )


def fill(text: str, values: Mapping[tuple[str, str], str]) -> str:
    """A text with `{STEP.run}` and `{STEP.sha256}` replaced. Raises LookupError for a step without that value."""
    return _REFERENCE.sub(lambda match: values[match[1], match[2]], text)


_FORM = written_files.FileForm(model=CampaignFile, schema=SCHEMA, name="campaign file", undone="nothing was begun")


def parse(text: str, *, source: str) -> CampaignFile:
    """A campaign file from its text; messages call it `source`. Raises as `written_files.FileForm.parse`."""
    return _FORM.parse(text, source)


def freeze(file: CampaignFile) -> bytes:
    """The file as JSON, as it is kept beside the journal: steps and values in their order."""
    return json.dumps(file.document(), allow_nan=False).encode()
