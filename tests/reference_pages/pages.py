"""The pages of `docs/reference/`: the content of each, made from models, tables and commands of burst.

`make reference` writes them. A page that stands otherwise than it is made here is stale, and a test fails.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from burst.domain.basics import runbooks
from burst.domain.plan import catalogues
from burst.domain.preflight import findings
from burst.rehearsal import faults
from burst.report import gate_lines, runbook_pages, schemas
from tests.reference_pages import commands, fields
from tests.reference_pages.markdown import code, table

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
COMMAND = "make reference"
_MADE = f"This page is made from the program by `{COMMAND}`; a change by hand is lost.\n\n"
_RUNBOOKS = "../../runbooks"
_EXIT_CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143)


def make_pages() -> dict[str, str]:
    """Each page by its name."""
    pages = {name: f"# {title}\n\n{_MADE}{make()}" for name, (title, _, make) in _PAGES.items()}
    rows = [(f"[{title}]({name})", words) for name, (title, words, _) in _PAGES.items()]
    return {"README.md": f"# Reference\n\n{_MADE}{table(('page', 'holds'), rows)}", **pages}


def find_stale(folder: Path = FOLDER) -> list[str]:
    """The pages that stand otherwise than they are made, that are missing, or that nothing makes any more."""
    made = make_pages()
    standing = {path.name: path.read_text() for path in folder.glob("*.md")}
    return sorted(name for name in made.keys() | standing.keys() if made.get(name) != standing.get(name))


def find_unexplained(kinds: Collection[str] = tuple(schemas.KINDS)) -> list[str]:
    """The fields without a meaning, each behind its kind of document; of the journal those of its events too."""
    listed = [(kind, field) for kind in kinds for field in fields.list_fields(kind)]
    if "journal" in kinds:
        listed += [(f"journal {event.name}", field) for event in fields.list_events() for field in event.fields]
    return [f"{name} {field.name}" for name, field in listed if not field.meaning]


def write(folder: Path = FOLDER) -> None:
    """Writes every page, and removes those that nothing makes any more."""
    folder.mkdir(parents=True, exist_ok=True)
    made = make_pages()
    for path in folder.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


def _make_plan_keys() -> str:
    words = (
        "Every key of a plan (`burst.plan/v1`). `[]` stands for an entry of a list, `KEY` for a name of yours. A "
        "duration carries its unit (`20s`, `15m`, `2h`). `burst init` writes a plan with comments, and "
        "`burst schema plan` prints the JSON Schema.\n\n"
    )
    rows = [
        (code(field.name), field.form, "required" if field.required else code(field.default), field.meaning)
        for field in fields.list_fields("plan")
    ]
    return words + table(("key", "form", "default", "meaning"), rows)


def _make_document_fields() -> str:
    words = (
        "Every field of every document that burst writes or reads, but for the plan, which has [a page of its own]"
        "(plan-keys.md). `burst schema KIND` prints the JSON Schema of each, with the same meanings. An "
        "instant is UTC with `Z`; `None` in a meaning is null in the document.\n\n"
    )
    kinds = [(code(kind), code(document.name), code(document.schema)) for kind, document in schemas.KINDS.items()]
    rows = [
        (kind, code(field.name), field.form, field.meaning)
        for kind in schemas.KINDS
        if kind != "plan"
        for field in fields.list_fields(kind)
    ]
    return (
        f"{words}{table(('document', 'file', 'schema'), kinds)}\n## Fields\n\n"
        f"{table(('document', 'field', 'form', 'meaning'), rows)}\n{_make_events()}"
    )


def _make_events() -> str:
    listed = fields.list_events()
    rows = [
        (code(event.name), code(field.name), field.form, field.meaning) for event in listed for field in event.fields
    ]
    return (
        "## Events of the journal\n\nA line has the fields of the journal above, and those of its event.\n\n"
        f"{table(('event', 'says'), [(code(event.name), event.meaning) for event in listed])}\n"
        f"{table(('event', 'field', 'form', 'meaning'), rows)}"
    )


def _make_gates() -> str:
    by_gate: dict[str, dict[str, list[str]]] = {}
    lines: dict[str, Mapping[str, object]] = {}
    for kind in catalogues.Kind:
        for line in gate_lines.value(kind)["gates"]:
            lines[line["gate"]] = line
            by_gate.setdefault(line["gate"], {})[kind.value] = line["blockers"]
    rows = [
        (
            code(name),
            str(line["invariant"]),
            "; ".join(f"{kind}: {' '.join(blockers)}" for kind, blockers in by_gate[name].items() if blockers),
            _list_codes(line["documents"]),
            code(str(line["verifier"])),
        )
        for name, line in lines.items()
    ]
    blockers = [
        (kind.value, short, title, _link_page(runbooks.PageKind.BLOCKER, short, kind.value))
        for kind in catalogues.Kind
        for short, title in catalogues.CATALOGUES[kind].titles.items()
    ]
    columns = ("gate", "invariant", "blockers by kind of phase", "documents", "verifier")
    return (
        "A gate is one question asked of the documents. It passes, fails, or is invalid where a fact is missing; only "
        "a pass clears the blocker that rests on it. `burst schema gates` prints the same. In the names of documents "
        f"`{gate_lines.SLUG}` is the phase's, such as `m10_f`.\n\n{table(columns, rows)}"
        f"\n## Blockers\n\n{table(('kind of phase', 'blocker', 'title', 'page'), blockers)}"
    )


def _list_codes(names: object) -> str:
    return " ".join(code(str(name)) for name in names) if isinstance(names, Iterable) else ""


def _make_findings() -> str:
    rows = [
        (code(name), kind.title, kind.why, kind.mend, _link_page(runbooks.PageKind.CHECK, name))
        for name, kind in findings.FINDING_KINDS.items()
    ]
    return (
        "What `burst preflight` and the preflight of `burst run` look at. A finding passes, warns, or refuses.\n\n"
        + table(("finding", "passes where", "why it matters", "how to mend it", "page"), rows)
    )


def _make_exit_codes() -> str:
    rows = [
        (
            str(number),
            _read_title(f"exit-{number}"),
            runbooks.WHAT_TO_DO.get(number, ""),
            _link_page(runbooks.PageKind.EXIT, number),
        )
        for number in _EXIT_CODES
    ]
    return "The worst wins: 6 over 5 over 4 over 3.\n\n" + table(("exit", "meaning", "what to do", "page"), rows)


def _make_commands() -> str:
    listed = commands.list_commands()
    rows = [(code(one.form), one.does) for one in listed]
    options = [
        (code(one.words), code(commands.name_option(option)), commands.describe_option(option))
        for one in listed
        for option in one.options
    ]
    return (
        "`burst COMMAND --help` prints the same with examples and exit codes. Almost every command also takes "
        f"{', '.join(map(code, commands.COMMON))}.\n\n"
        "With `--json` stdout holds one JSON document: the result, or of a command that failed without one its "
        "`error`, `exit_code`, `what_to_do` and `see` (the command that prints the page). `burst evidence ls` and "
        f"`burst history` print one a run, on a line each.\n\n{table(('command', 'does'), rows)}\n## Options\n\n"
        f"{table(('command', 'option', 'meaning'), options)}"
    )


def _make_faults() -> str:
    rows = [(code(name), words, _link_page(runbooks.PageKind.FAULT, name)) for name, words in faults.FAULTS.items()]
    phases = ", ".join(map(code, faults.PHASES))
    return (
        f"The faults of `burst rehearse --fault {faults.FORM}`; phases are {phases}. What became of each in each "
        f"phase: [the fault matrix](../matrix.md).\n\n{table(('fault', 'does', 'page'), rows)}"
    )


def _link_page(kind: runbooks.PageKind, subject: str | int, phase_kind: str = runbooks.BURST) -> str:
    file = runbooks.page_file(kind, subject, phase_kind=phase_kind).removeprefix(f"{runbooks.FOLDER}/")
    return f"[{runbooks.page_name(kind, subject, phase_kind=phase_kind)}]({_RUNBOOKS}/{file})"


def _read_title(page: str) -> str:
    return re.sub(r"^Exit \d+:? *(or \d+:? *)?", "", runbook_pages.read_page(page).title)


_PAGES: Mapping[str, tuple[str, str, Callable[[], str]]] = {
    "plan-keys.md": ("Plan keys", "every key of a plan, with its form, default and meaning", _make_plan_keys),
    "commands.md": ("Commands", "every command, argument and option", _make_commands),
    "exit-codes.md": ("Exit codes", "every exit code, with the act that it calls for", _make_exit_codes),
    "findings.md": ("Preflight findings", "every finding, why it matters and how to mend it", _make_findings),
    "gates.md": ("Gates and blockers", "every gate with its documents, every blocker with its page", _make_gates),
    "faults.md": ("Faults", "every fault of a rehearsal", _make_faults),
    "document-fields.md": ("Document fields", "every field of every document", _make_document_fields),
}
