"""Probes of the controller's own: observed series that are asked in SQL, of a document, or of a program."""

from collections.abc import Mapping
from datetime import datetime

from burst import ports
from burst.control import facts
from burst.domain.basics import canonical, errors, instants
from burst.domain.observations import answers
from burst.domain.plan import observe_sections, plans
from burst.kit import own_programs

GUARD_GRACE_SECONDS = 0.5
"""Between TERM and KILL for a program that takes too long."""
_OVERTIME_SECONDS = 2.0
"""How much later than its guard a program is ended, should the guard fail."""
_LONGEST_COMPLAINT = 200


class SqlProbe:
    """`ports.Probe` on a fact query; with a pointer its answer is the text of a JSON value."""

    def __init__(self, source: ports.ReceiptSource, sql: str, pointers: answers.Pointers, scope: str) -> None:
        self._source = source
        self._sql = sql
        self._pointers = pointers
        self._scope = scope

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The value of the query, in the scope of the run."""
        value = answers.require_usable(self._source.ask(self._sql, scope=self._scope, give_up_at=give_up_at))
        if self._pointers.value is None:
            return answers.Answer(value=value)
        return answers.read(str(value).encode(), self._pointers)


class DocumentProbe:
    """`ports.Probe` on a document on S3."""

    def __init__(self, read_document: facts.ReadDocument, address: str, pointers: answers.Pointers) -> None:
        self._read_document = read_document
        self._address = address
        self._pointers = pointers

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The value in the document as it stands now."""
        content = self._read_document(self._address)
        return answers.read(content, self._pointers, f"of a document with sha256 {canonical.digest(content)}")


class CommandProbe:
    """`ports.Probe` on a program that writes JSON to stdout. It runs under guard, which ends its whole tree."""

    def __init__(
        self,
        programs: ports.ProgramRunner,
        argv: tuple[str, ...],
        pointers: answers.Pointers,
        clock: ports.Clock,
    ) -> None:
        self._programs = programs
        self._argv = argv
        self._pointers = pointers
        self._clock = clock

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The value that one run of the program writes."""
        seconds = max(0.1, round(instants.seconds_between(self._clock.now(), give_up_at), 3))
        budget, grace = instants.duration_text(seconds), instants.duration_text(GUARD_GRACE_SECONDS)
        guard = [*own_programs.start_words("burst.task.guard"), "--budget", budget, "--grace", grace, "--"]
        longest = seconds + GUARD_GRACE_SECONDS + _OVERTIME_SECONDS
        answer = self._programs.run([*guard, *self._argv], seconds_max=longest)
        if answer.exit_code != 0:
            words = answer.complaint.strip()[-_LONGEST_COMPLAINT:]
            raise errors.Refused(f"{self._argv[0]} ended with {answer.exit_code}: {words or 'it says nothing'}")
        return answers.read(answer.output, self._pointers)


Probes = Mapping[str, ports.Probe]
"""Probes by the name of their series."""


def find_pointers(series: observe_sections.SeriesSection) -> answers.Pointers:
    """Where value, instant and scope stand in the answers of a series."""
    return answers.Pointers(value=series.path, at=series.at, scope=series.scope)


def build_probes(
    plan: plans.Plan, source: ports.ReceiptSource | None, read_document: facts.ReadDocument, outside: Probes
) -> dict[str, ports.Probe]:
    """The probe of each series: one of `outside`, or one on receipts and documents. A series without any is absent."""
    built = dict[str, ports.Probe](outside)
    for series in plan.observed_series:
        probe = _build_probe(series, plan.scope, source, read_document)
        if probe is not None:
            built[series.name] = probe
    return built


def _build_probe(
    series: observe_sections.SeriesSection,
    scope: str,
    source: ports.ReceiptSource | None,
    read_document: facts.ReadDocument,
) -> ports.Probe | None:
    if series.sql is not None and source is not None:
        return SqlProbe(source, series.sql, find_pointers(series), scope)
    if series.document is not None:
        address = series.document.replace("{scope}", scope)
        return DocumentProbe(read_document, address, find_pointers(series))
    return None
