"""The table of gates as text and JSON: invariant, gate, verifier, evidence; and the documents of each blocker."""

from collections.abc import Iterator
from typing import Any

from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import gate_table, rules
from burst.report import terminal

SLUG = "{slug}"


def _list_lines(catalogue: catalogues.Catalogue) -> tuple[gate_table.GateLine, ...]:
    """The gates of a kind; a roll-up asks its own, of the snapshots that it names."""
    return () if catalogue.kind is catalogues.Kind.ROLLUP else gate_table.GATES


def value(kind: catalogues.Kind = catalogues.Kind.BURST) -> dict[str, Any]:
    """As JSON, for one kind of phase; documents by file name, in which `{slug}` stands for the phase's."""
    catalogue = catalogues.CATALOGUES[kind]
    return {
        "rules": rules.CURRENT.version,
        "kind": kind.value,
        "gates": [
            {
                "gate": line.name,
                "blockers": _list_blockers(catalogue, line),
                "role": line.role and line.role.value,
                "invariant": line.invariant,
                "verifier": line.verifier,
                "documents": _names(line.documents),
            }
            for line in _list_lines(catalogue)
        ],
        "blockers": [
            {
                "blocker": short,
                "title": title,
                "gates": [
                    line.name
                    for line in _list_lines(catalogue)
                    if line.stands_behind(catalogue, short, takes_facts=short in catalogue.asked)
                ],
                "documents": _names(_list_documents(catalogue, short)),
                "documents_in_a_rerun": _names(_list_documents(catalogue, short, rerun=True)),
            }
            for short, title in catalogue.titles.items()
        ],
    }


def _list_blockers(catalogue: catalogues.Catalogue, line: gate_table.GateLine) -> list[str]:
    """The blockers behind which a gate may stand; of a fact those that rest on facts, though a plan may name others."""
    return list(catalogue.asked) if line.role is None else [catalogue.find_short(line.role)]


def _list_documents(catalogue: catalogues.Catalogue, short: str, *, rerun: bool = False) -> tuple[str, ...]:
    if catalogue.kind is catalogues.Kind.ROLLUP:
        return ()
    return gate_table.list_documents(catalogue, short, takes_facts=short in catalogue.asked, rerun=rerun)


def text(kind: catalogues.Kind = catalogues.Kind.BURST) -> str:
    """As text, for one kind of phase: the blockers with their documents, then each gate with its own."""
    return "\n".join(_lines(catalogues.CATALOGUES[kind]))


def _lines(catalogue: catalogues.Catalogue) -> Iterator[str]:
    yield f"rules {rules.CURRENT.version}; every gate is answered by {document_names.PLAN} and the documents named"
    yield ""
    yield f"The documents that each blocker of a {catalogue.kind} rests on; in a rerun also on those of same_contract:"
    rows = [(short, title, ", ".join(_list_documents(catalogue, short))) for short, title in catalogue.titles.items()]
    yield terminal.table([("BLOCKER", "TITLE", "DOCUMENTS"), *rows])
    yield ""
    gate_rows = [
        (" ".join(_list_blockers(catalogue, line)), line.name, line.invariant, ", ".join(line.documents))
        for line in _list_lines(catalogue)
    ]
    if not gate_rows:
        yield "Its gates are asked of the snapshots that it names, by `burst campaign run` and `burst verify`."
        return
    yield "Each gate, its invariant, and the documents that answer it:"
    yield terminal.table([("BLOCKER", "GATE", "INVARIANT", "DOCUMENTS"), *gate_rows])
    yield ""
    yield "The verifier of each gate, with {slug} for the phase's, such as m10_f:"
    yield terminal.table([("GATE", "VERIFIER"), *((line.name, line.verifier) for line in gate_table.GATES)])


def _names(kinds: tuple[str, ...]) -> list[str]:
    return [document_names.PLAN, *(gate_table.find_name(kind, SLUG) for kind in kinds)]
