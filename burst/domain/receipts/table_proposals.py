"""Table proposals: which table may hold receipts, which columns have which role, and the plan's section for them.

Names and types are hints and no proof, so each choice carries its reason, and a sample of rows is judged beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from burst.domain.basics import wording
from burst.domain.receipts import receipts

ROLES = ("decision", "at", "scope")
KIND_WORDS: Mapping[str, str] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
"""Kinds of relations, by `pg_class.relkind`."""

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_WHOLE = frozenset({"int2", "int4", "int8"})
_NUMBERS = _WHOLE | {"numeric", "float4", "float8"}
_NAMES: Mapping[str, Sequence[tuple[str, int]]] = {
    "decision": (
        (r"decision", 10),
        (r".*decision.*", 8),
        (r"outcome|verdict|disposition", 7),
        (r"(is_)?(admitted|accepted|duplicate|duplicated)", 6),
        (r"result|status|state", 4),
        (r".*(outcome|verdict|admit|result|status).*", 3),
    ),
    "at": (
        (r"(created|received|recorded|admitted|decided|ingested)_at(_utc)?", 10),
        (r"at|ts|created|received|inserted_at", 8),
        (r".*_(at|ts|utc)", 6),
        (r".*(time|stamp|_ms|_us|_ns|epoch).*", 5),
        (r".*(date|_on)", 2),
    ),
    "scope": (
        (r"(platform_)?run_id|scope|scope_id", 10),
        (r".*(run|scope).*", 7),
        (r".*(batch|session|campaign|tenant|partition_key).*", 4),
        (r"run|batch", 4),
    ),
}
_TABLES = ((r".*receipt.*", 5), (r".*(admission|decision|ingest).*", 3), (r".*(event|audit|outcome).*", 1))
_EVENT = r"event_?id|.*event.*id.*|message_id|dedupe_key"
_WORDS: Mapping[str, frozenset[str]] = {
    "ADMIT": frozenset(["admit", "admitted", "accept", "accepted", "ok", "new", "created", "ingested", "success"]),
    "DUPLICATE": frozenset(
        ["duplicate", "duplicated", "dup", "seen", "seenbefore", "alreadyseen", "replay", "repeated", "conflict"]
    ),
    "QUARANTINE": frozenset(["quarantine", "quarantined", "reject", "rejected", "invalid", "deadletter", "dlq"]),
}
_LABELS_BONUS = 6
_LONGEST_WORD = 60
_SURE_BY_TYPE = 3
"""A type that says so much that the name may be anything."""
_UNITS: Mapping[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_CENTURY_SECONDS = (978_307_200, 4_102_444_800)
"""From 2001 to 2100: in no other unit does a number of it mean a year of this century."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogColumn:
    """A column as the catalog has it: its base type below every domain, and the type as it was declared."""

    name: str
    type_name: str
    declared: str
    kind: str = "b"
    required: bool = False
    labels: tuple[str, ...] = ()
    """The labels of an enum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTable:
    """A table, view or partitioned table. `visible`: its bare name is enough, by the search path of the role."""

    schema: str
    name: str
    kind: str
    row_count: int | None
    """As the server knows it; None where it does not, as of a view and of a table that was never analyzed."""
    visible: bool
    columns: tuple[CatalogColumn, ...]

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"

    @property
    def plan_name(self) -> str:
        """The name that a plan gives it; the schema only where it is needed."""
        return self.name if self.visible else self.full_name

    @property
    def nameable(self) -> bool:
        """Whether a plan can name it: there a dot parts the schema from the name."""
        return "." not in self.name and ("." not in self.schema or self.visible)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChoice:
    """The column of one role, with why it was chosen; the higher the score, the surer."""

    column: CatalogColumn
    score: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A table with a column for each role."""

    table: CatalogTable
    choices: Mapping[str, RoleChoice]
    event: CatalogColumn | None
    score: int

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role, by name."""
        return {role: self.choices[role].column.name for role in ROLES}


def takes_any_scope(column: CatalogColumn) -> bool:
    """Whether a column can hold every scope, such as that of `scope: fresh`, which is a text."""
    return column.kind != "e" and column.type_name in _TEXTS


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledRow:
    """A row as text, with the seconds since 1970 of its time as the count reads it; None where it has none."""

    decision: str | None
    at: str | None
    scope: str | None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCheck:
    """One thing that a sample shows; not `sound`: it has to be mended, or looked at."""

    subject: str
    sound: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionWords:
    """The words of a table by decision, those that stand for none, and whether the catalog or a guess says so."""

    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    guessed: bool = False


def choose_columns(table: CatalogTable, chosen_names: Mapping[str, str]) -> dict[str, RoleChoice]:
    """The best column of each role, no column twice, a role without one left out. `chosen_names`: columns by hand."""
    offers: dict[str, list[RoleChoice]] = {}
    for role in ROLES:
        if role in chosen_names:
            named = [column for column in table.columns if column.name == chosen_names[role]]
            offers[role] = [RoleChoice(column=column, score=100, why="--columns") for column in named]
            continue
        scored = [_score(role, column) for column in table.columns]
        offers[role] = sorted((choice for choice in scored if choice.score > 0), key=lambda each: -each.score)[:4]
    roles = [role for role in ROLES if offers[role]]
    best: tuple[int, tuple[RoleChoice, ...]] = (-1, ())
    for choices in product(*(offers[role] for role in roles)):
        distinct = len({choice.column.name for choice in choices}) == len(choices)
        total = sum(choice.score for choice in choices)
        if distinct and total > best[0]:
            best = (total, choices)
    return dict(zip(roles, best[1], strict=True)) if best[1] else {}


def rank_candidates(tables: Sequence[CatalogTable]) -> tuple[Candidate, ...]:
    """The tables that have a column for each role and can be named in a plan, the likeliest first."""
    candidates = [propose(table, {}) for table in tables if table.nameable]
    ranked = [candidate for candidate in candidates if candidate is not None]
    return tuple(sorted(ranked, key=lambda each: (-each.score, -(each.table.row_count or 0), each.table.full_name)))


def propose(table: CatalogTable, chosen_names: Mapping[str, str]) -> Candidate | None:
    """The table with its columns; None where a role has no column."""
    choices = choose_columns(table, chosen_names)
    if set(choices) != set(ROLES):
        return None
    score = sum(choice.score for choice in choices.values()) + _score_name(table.name, _TABLES)
    taken = {choice.column.name for choice in choices.values()}
    events = [column for column in table.columns if column.name not in taken and _fits(_EVENT, column.name)]
    exact = sorted(events, key=lambda column: column.name != "event_id")
    return Candidate(table=table, choices=choices, event=exact[0] if exact else None, score=score)


def _fits(pattern: str, name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    return re.fullmatch(pattern, words) is not None


def _score_name(name: str, patterns: Sequence[tuple[str, int]]) -> int:
    return max((points for pattern, points in patterns if _fits(pattern, name)), default=0)


def _score(role: str, column: CatalogColumn) -> RoleChoice:
    by_name = _score_name(column.name, _NAMES[role])
    by_type, why = _TYPE_SCORES[role](column, by_name)
    score = by_name + by_type if by_type > 0 and (by_name or by_type >= _SURE_BY_TYPE) else 0
    words = f"its name, and {why}" if by_name else why
    return RoleChoice(column=column, score=score, why=words)


def _score_decision(column: CatalogColumn, by_name: int) -> tuple[int, str]:
    decided = [label for label in column.labels if _stands_for(label) is not None]
    if column.kind == "e":
        extra = _LABELS_BONUS + 1 if len(decided) > 1 else 0
        return 2 + extra, f"an enum of {', '.join(column.labels[:6])}"
    if column.type_name in _TEXTS:
        return 2, f"its type {column.declared}"
    if column.type_name == "bool":
        return 1, "a boolean that receipts.decisions maps"
    return (1, f"its type {column.declared}") if column.type_name in _WHOLE and by_name >= 4 else (0, "")


def _score_time(column: CatalogColumn, by_name: int) -> tuple[int, str]:
    points = {"timestamptz": 4, "timestamp": 3}.get(column.type_name, 0)
    if column.type_name in _TEXTS and column.kind == "b":
        points = 1
    if column.type_name in _NUMBERS and by_name >= 5:
        points = 1
    return points, f"its type {column.declared}"


def _score_scope(column: CatalogColumn, _: int) -> tuple[int, str]:
    fits = column.kind == "e" or column.type_name in _TEXTS | _WHOLE | {"uuid"}
    return (2 if fits else 0), f"its type {column.declared}"


_TYPE_SCORES = {"decision": _score_decision, "at": _score_time, "scope": _score_scope}


def _stands_for(word: str) -> str | None:
    """The decision that a word usually stands for; None where it stands for none."""
    bare = re.sub(r"[^a-z0-9]", "", word.lower())
    return next((decision for decision, words in _WORDS.items() if bare in words), None)


def judge_unit(column: CatalogColumn, rows: Sequence[SampledRow]) -> tuple[str | None, str]:
    """The unit of a time column that holds numbers, and why; None where it holds none, or no unit fits them."""
    if column.type_name not in _NUMBERS:
        return None, ""
    numbers = sorted(float(row.at) for row in rows if row.at is not None and _is_finite(row.at))
    if not numbers:
        return None, "no row shows its unit"
    middle = numbers[len(numbers) // 2]
    first, last = _CENTURY_SECONDS
    for unit, scale in _UNITS.items():
        if first * scale <= middle < last * scale:
            return unit, f"{middle:.0f} {unit} since 1970 is an instant of this century"
    return None, f"{middle:.0f} is an instant of this century in no unit"


def _is_finite(text: str) -> bool:
    return text.strip().lower().lstrip("+-") not in ("nan", "infinity", "inf")


def map_decisions(column: CatalogColumn, words: Sequence[str]) -> DecisionWords:
    """The words of a decision column, as the plan's `decisions`; empty where they are burst's own."""
    if column.type_name == "bool":
        return _map_boolean(column)
    decision_words = list(dict.fromkeys([*column.labels, *words]))
    by_decision: dict[str, list[str]] = {}
    for word in decision_words:
        decision = word if word in receipts.DECISIONS else _stands_for(word)
        if decision is not None:
            by_decision.setdefault(decision, []).append(word)
    unknown = tuple(word for word in decision_words if word not in receipts.DECISIONS and _stands_for(word) is None)
    own = {decision: texts for decision, texts in by_decision.items() if texts != [decision]}
    chosen = {name: tuple(own[name]) for name in receipts.DECISIONS if name in own}
    return DecisionWords(words=chosen, unknown=unknown, guessed=bool(chosen))


def _map_boolean(column: CatalogColumn) -> DecisionWords:
    says_duplicate = "dup" in column.name.lower() or "seen" in column.name.lower()
    admit, duplicate = ("false", "true") if says_duplicate else ("true", "false")
    return DecisionWords(words={"ADMIT": (admit,), "DUPLICATE": (duplicate,)}, guessed=True)


def check_sample(
    candidate: Candidate, rows: Sequence[SampledRow], *, unit: str | None, now_seconds: float, problem: str
) -> tuple[SampleCheck, ...]:
    """What a sample shows of times, decisions and scopes. `problem`: why times could not be read; empty where they
    could."""
    if not rows:
        return (SampleCheck(subject="sample", sound=False, words="the table holds no row, so nothing is shown"),)
    at, decision = candidate.choices["at"].column, candidate.choices["decision"].column
    words = map_decisions(decision, [row.decision for row in rows if row.decision is not None])
    return (
        _check_readable(at, rows, problem),
        _check_offset(at, rows, unit),
        _check_nulls(candidate, rows),
        _check_words(decision, rows, words),
        _check_future(at, rows, now_seconds),
    )


def _check_readable(column: CatalogColumn, rows: Sequence[SampledRow], problem: str) -> SampleCheck:
    subject = "times can be read"
    if problem:
        return SampleCheck(subject=subject, sound=False, words=f"{column.name}: {problem}")
    written = [row for row in rows if row.at is not None]
    endless = sum(row.seconds is None for row in written)
    words = f"all of {len(written):,} sampled in {column.name} are instants"
    if endless:
        words = f"{endless} of {len(written):,} sampled in {column.name} are no instant (infinite)"
    if not written:
        words = f"no row of {len(rows):,} sampled has a time in {column.name}, so nothing is shown"
    return SampleCheck(subject=subject, sound=bool(written) and not endless, words=words)


def _check_offset(column: CatalogColumn, rows: Sequence[SampledRow], unit: str | None) -> SampleCheck:
    subject = "times say their offset"
    if column.type_name == "timestamptz" or unit is not None:
        return SampleCheck(subject=subject, sound=True, words=f"{column.declared} is an instant by itself")
    if column.type_name == "timestamp":
        return SampleCheck(subject=subject, sound=False, words=f"{column.name} is {column.declared}: taken for UTC")
    offset = re.compile(r"[0-9:T].*?([Zz]|[+-][0-9]{2}(:?[0-9]{2}){0,2})$")
    time_of_day = re.compile(r"[0-9]{2}:[0-9]{2}|T[0-9]{4}")
    written = [row.at for row in rows if row.at is not None]
    without = sum(not (offset.search(text) and time_of_day.search(text)) for text in written)
    words = f"{without} of {len(written):,} sampled in {column.name} have no offset, or no time of day"
    return SampleCheck(
        subject=subject, sound=not without, words=words if without else f"all of {len(written):,} sampled do"
    )


def _check_nulls(candidate: Candidate, rows: Sequence[SampledRow]) -> SampleCheck:
    empty = {role: sum(getattr(row, role) is None for row in rows) for role in ROLES}
    columns = [f"{number} of {len(rows):,} in {candidate.columns[role]}" for role, number in empty.items() if number]
    if not columns:
        return SampleCheck(subject="no NULL", sound=True, words=f"none in {len(rows):,} rows")
    consequence = "; a receipt without a time refuses the whole count" if empty["at"] else ""
    return SampleCheck(subject="no NULL", sound=False, words=", ".join(columns) + consequence)


def _check_words(column: CatalogColumn, rows: Sequence[SampledRow], mapping: DecisionWords) -> SampleCheck:
    subject, decision_words = (
        "decision words are known",
        sorted({row.decision for row in rows if row.decision is not None}),
    )
    if mapping.unknown:
        unknown = _list_words(mapping.unknown)
        return SampleCheck(subject=subject, sound=False, words=f"{unknown} in {column.name} would count as other")
    words = f"{_list_words(decision_words) or 'none'} in {column.name}"
    if mapping.guessed:
        words += "; what they stand for is a guess by their names: look at decisions below"
    return SampleCheck(subject=subject, sound=True, words=words)


def _list_words(words: Sequence[str]) -> str:
    return ", ".join(repr(wording.shorten(word, _LONGEST_WORD)) for word in words[:8])


def _check_future(column: CatalogColumn, rows: Sequence[SampledRow], now_seconds: float) -> SampleCheck:
    ahead = [row.seconds - now_seconds for row in rows if row.seconds is not None and row.seconds > now_seconds]
    words = f"no time of {column.name} is ahead of the database's clock"
    if ahead:
        words = (
            f"{len(ahead)} of {len(rows):,} in {column.name} are ahead of the database's clock, by {max(ahead):.0f} s"
        )
    return SampleCheck(subject="no time in the future", sound=not ahead, words=words)
