"""Compared runs: the documents of one run, or one file, as a score reads them, and how a figure is found in them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from burst.domain.basics import canonical, errors, magnitudes, redaction
from burst.domain.closure import score_files, timings
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import gate_table, snapshots

SNAPSHOT = "snapshot"
_KINDS = (SNAPSHOT, "plan", *gate_table.KINDS)
Json: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """The sound evidence of one run, or one JSON file. `verdict` and `plan` are None for a file."""

    source: str
    """How the operator named it: a relative path, the last parts of another one, or an S3 address."""
    name: str
    """The snapshot's document name, or the file's."""
    sha256: str
    """The digest of the snapshot, or of the file."""
    documents: Mapping[str, bytes] = field(hash=False)
    verdict: snapshots.Verdict | None = None
    plan: plans.Plan | None = None

    @property
    def run_id(self) -> str:
        """The execution id; of a file, how the operator named it."""
        execution_id = self.verdict.snapshot.execution_id if self.verdict else None
        return execution_id or self.source

    def find_document(self, word: str | None) -> str:
        """The file name of a document by its kind or its name; without a word, the snapshot or the file itself."""
        if word is None or (word == SNAPSHOT and self.verdict is not None):
            return self.name
        if self.plan is not None and word == "plan":
            return document_names.PLAN
        if self.plan is not None and word in gate_table.KINDS:
            return gate_table.find_name(word, self.plan.slug)
        return word


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One figure as it was read; `value` counts only where there is no `problem`."""

    value: Json = None
    problem: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return not self.problem


def read_figure(run: ComparedRun, place: score_files.FigureSection) -> Reading:
    """The JSON value at a figure's place in a run."""
    if place.lane is not None:
        return _read_lane(run, place.lane)
    name = run.find_document(place.document)
    content = run.documents.get(name)
    if content is None:
        return Reading(problem=f"{run.run_id} has no {name}")
    try:
        value = canonical.value_at(canonical.decode(content), place.path or "")
    except errors.EvidenceCorrupt as exc:
        return Reading(problem=f"{run.run_id}, {name}: {exc}")
    return Reading(value=value) if _may_be_shown(value) else Reading(problem=f"{name} has a text not to be shown")


def read_number(run: ComparedRun, place: score_files.FigureSection) -> Reading:
    """The number at a figure's place, of a magnitude that can be measured; anything else is a problem."""
    reading = read_figure(run, place)
    if reading.known and not is_number(reading.value):
        words = f"{run.run_id}: {place.words} is {describe_kind(reading.value)}, and no number"
        return Reading(problem=words)
    if reading.known and not magnitudes.is_measurable(reading.value):
        words = f"{run.run_id}: {place.words} is {reading.value}, which nothing measures"
        return Reading(problem=f"{words}; allowed: {magnitudes.ALLOWED}")
    return reading


def read_count(run: ComparedRun, place: score_files.FigureSection) -> Reading:
    """The whole number from 0 to 2^53 - 1 at a figure's place."""
    reading = read_number(run, place)
    if reading.known and not (0 <= reading.value <= canonical.LARGEST_INTEGER and reading.value == int(reading.value)):
        words = f"{run.run_id}: {place.words} is {reading.value}, and no count"
        return Reading(problem=f"{words}; allowed: a whole number from 0 to 2^53 - 1")
    return reading


def read_keys(run: ComparedRun, place: score_files.FigureSection) -> Reading:
    """The set of an object's keys, or of a list's texts, as a frozenset."""
    reading = read_figure(run, place)
    if not reading.known:
        return reading
    if isinstance(reading.value, dict):
        return Reading(value=frozenset(reading.value))
    if isinstance(reading.value, list) and all(isinstance(member, str) for member in reading.value):
        if len(set(reading.value)) != len(reading.value):
            return Reading(problem=f"{run.run_id}: {place.words} names a member twice")
        return Reading(value=frozenset(reading.value))
    kind = describe_kind(reading.value)
    return Reading(problem=f"{run.run_id}: {place.words} is {kind}, and neither an object nor a list of texts")


def is_number(value: Json) -> bool:
    """Whether a JSON value is a finite number."""
    return magnitudes.is_number(value) and math.isfinite(value)


def equal_scalars(value: Json, expected: Json) -> bool:
    """Whether two scalars are equal; true is no 1."""
    if is_number(value) and is_number(expected):
        return bool(value == expected)
    return type(value) is type(expected) and value == expected


def describe_kind(value: Json) -> str:
    """The JSON type of a value in words."""
    if value is None:
        return "null"
    words = {
        bool: "true or false",
        str: "a text",
        list: "a list",
        dict: "an object",
        int: "a number",
        float: "a number",
    }
    return words[type(value)]


def _read_lane(run: ComparedRun, lane: str) -> Reading:
    content = run.documents.get(document_names.JOURNAL)
    if content is None:
        return Reading(problem=f"{run.run_id} has no {document_names.JOURNAL}")
    try:
        table = timings.measure_lanes(content)
    except errors.BurstError as exc:
        return Reading(problem=f"{run.run_id}: {exc}")
    seconds = table.find_seconds(lane)
    return Reading(value=seconds) if seconds is not None else Reading(problem=f"{run.run_id} has no lane {lane}")


def _may_be_shown(value: Json) -> bool:
    """Whether no text in a value is one that redaction would change."""
    redactor = redaction.Redactor()
    if isinstance(value, str):
        return redactor.text(value, statement=True) == value
    if isinstance(value, list):
        return all(_may_be_shown(member) for member in value)
    if isinstance(value, dict):
        return all(_may_be_shown(key) and _may_be_shown(member) for key, member in value.items())
    return True
