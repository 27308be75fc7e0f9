"""The table of gates as text and JSON: invariant, gate, verifier, evidence; and the documents of each blocker."""

from collections.abc import Iterator
from typing import Any

from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import blockers, gate_table, rules
from burst.report import terminal

SLUG = "{slug}"


def value() -> dict[str, Any]:
    """As JSON; documents by file name, in which `{slug}` stands for the phase's."""
    return {
        "rules": rules.CURRENT.version,
        "gates": [
            {
                "gate": line.name,
                "blockers": list(line.blockers),
                "invariant": line.invariant,
                "verifier": line.verifier,
                "documents": _names(line.documents),
            }
            for line in gate_table.GATES
        ],
        "blockers": [
            {
                "blocker": short,
                "title": blockers.TITLES[short],
                "gates": [line.name for line in gate_table.GATES if short in line.blockers],
                "documents": _names(gate_table.list_documents(short)),
                "documents_in_a_rerun": _names(gate_table.list_documents(short, rerun=True)),
            }
            for short in plans.BLOCKERS
        ],
    }


def text() -> str:
    """As text: the blockers with their documents, then each gate with its own."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"rules {rules.CURRENT.version}; every gate is answered by {document_names.PLAN} and the documents named"
    yield ""
    yield "The documents that each blocker rests on; in a rerun also on those of same_contract:"
    rows = [(short, blockers.TITLES[short], ", ".join(gate_table.list_documents(short))) for short in plans.BLOCKERS]
    yield terminal.table([("BLOCKER", "TITLE", "DOCUMENTS"), *rows])
    yield ""
    yield "Each gate, its invariant, and the documents that answer it:"
    gate_rows = [
        (" ".join(line.blockers), line.name, line.invariant, ", ".join(line.documents)) for line in gate_table.GATES
    ]
    yield terminal.table([("BLOCKER", "GATE", "INVARIANT", "DOCUMENTS"), *gate_rows])
    yield ""
    yield "The verifier of each gate, with {slug} for the phase's, such as m10_f:"
    yield terminal.table([("GATE", "VERIFIER"), *((line.name, line.verifier) for line in gate_table.GATES)])


def _names(kinds: tuple[str, ...]) -> list[str]:
    return [document_names.PLAN, *(gate_table.find_name(kind, SLUG) for kind in kinds)]
