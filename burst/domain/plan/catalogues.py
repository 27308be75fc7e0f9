"""Catalogues: the kinds of phases, and the blockers of each by id, title and role.

The same id means another thing in another kind: B2 of a burst is semantic drift, B2 of a soak is lag. So a gate names
a role, and the catalogue of the plan's kind says which id stands for it. A role without an id of its own goes to the
id for missing evidence, so that no answer is lost.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Kind(enum.StrEnum):
    """The kind of a phase: the key `kind` of a plan."""

    BURST = "burst"
    WINDOW = "window"
    SOAK = "soak"
    RECOVERY = "recovery"
    REPRODUCIBILITY = "reproducibility"
    DRILL = "drill"
    ROLLUP = "rollup"


class Role(enum.StrEnum):
    """The subject of a gate, whatever id its blocker has in a kind."""

    PROFILE = "profile"
    """Volume, duration, rate and answers of the load."""
    DRIFT = "drift"
    PUBLICATION = "publication"
    DEPENDENCY = "dependency"
    """Everything that has to be so before the load: the prior, preflight, entry gates, the contract."""
    EVIDENCE = "evidence"
    SCOPE = "scope"
    LAG = "lag"
    BUDGET = "budget"
    """Budget, deadline, proven stop, services put back."""
    EXECUTION = "execution"
    CONTIGUITY = "contiguity"
    """Receipts in each part of the window."""
    CHECKPOINT = "checkpoint"
    RESTART = "restart"
    """The restart of a drill, and what it replaced."""
    RTO = "rto"
    OUTCOME = "outcome"
    """What an injected fault has to show, such as duplicates."""
    BASELINE = "baseline"
    """The baseline, or the reference run that this one is compared with."""
    MATCH = "match"
    """Contract and profile of two runs that are compared."""
    KEYSET = "keyset"
    SHARES = "shares"
    """How far the shares of decisions of two runs are apart."""
    INVARIANT = "invariant"
    SCHEMA = "schema"
    OUTCOMES = "outcomes"
    """The verdicts of the phases that a roll-up is made of."""
    UNION = "union"
    """The open blockers of those phases."""
    FAMILIES = "families"
    """The families of evidence that a roll-up has to hold."""
    LOCAL_WRITE = "local-write"


_ASKED = frozenset(
    {
        *(Role.DRIFT, Role.SCOPE, Role.LAG, Role.CONTIGUITY, Role.CHECKPOINT, Role.RESTART, Role.RTO, Role.OUTCOME),
        *(Role.BASELINE, Role.MATCH, Role.KEYSET, Role.SHARES, Role.INVARIANT),
    }
)
"""The roles about which nothing is asked unless the plan does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The blockers of one kind of phase."""

    kind: Kind
    titles: Mapping[str, str] = field(hash=False)
    """The title of each blocker by its short id, in order."""
    roles: Mapping[Role, str] = field(hash=False)
    """The short id that stands for each role; a role that is absent goes to that of missing evidence."""

    @property
    def shorts(self) -> tuple[str, ...]:
        """Every short id, in order."""
        return tuple(self.titles)

    def find_short(self, behind: Role | str) -> str:
        """The short id that stands for a role; a short id stands for itself."""
        return self.roles.get(behind, self.roles[Role.EVIDENCE]) if isinstance(behind, Role) else behind

    def list_shorts(self, *roles: Role) -> frozenset[str]:
        """The short ids that these roles have of their own."""
        return frozenset(self.roles[role] for role in roles if role in self.roles)

    @property
    def asked(self) -> tuple[str, ...]:
        """The short ids that rest on what the plan asks: without a question they stay open."""
        always_answered = {short for role, short in self.roles.items() if role not in _ASKED}
        return tuple(short for short in self.shorts if short not in always_answered)


CATALOGUES: Mapping[Kind, Catalogue] = {
    catalogue.kind: catalogue
    for catalogue in (
        Catalogue(
            kind=Kind.BURST,
            titles={
                "B1": "profile not achieved",
                "B2": "semantic drift",
                "B3": "evidence publication failed",
                "B4": "dependency snapshot or plan invalid",
                "B5": "baseline or required evidence missing, unreadable or not attempt-scoped",
                "B6": "scope mismatch or unresolved publish ambiguity",
                "B7": "lag or checkpoint unstable",
                "B8": "runtime budget breached or stop not proven",
                "B9": "task execution failed",
            },
            roles={
                Role.PROFILE: "B1",
                Role.CONTIGUITY: "B1",
                Role.OUTCOME: "B1",
                Role.DRIFT: "B2",
                Role.INVARIANT: "B2",
                Role.PUBLICATION: "B3",
                Role.DEPENDENCY: "B4",
                Role.EVIDENCE: "B5",
                Role.SCOPE: "B6",
                Role.LAG: "B7",
                Role.CHECKPOINT: "B7",
                Role.BUDGET: "B8",
                Role.EXECUTION: "B9",
            },
        ),
        Catalogue(
            kind=Kind.WINDOW,
            titles={
                "B1": "volume or duration not reached",
                "B2": "window not contiguous",
                "B3": "lag or checkpoint unstable",
                "B4": "dependency snapshot or plan invalid",
                "B5": "required evidence missing, unreadable or not attempt-scoped",
                "B6": "scope mismatch or unresolved publish ambiguity",
                "B7": "evidence publication failed",
                "B8": "runtime budget breached or stop not proven",
            },
            roles={
                Role.PROFILE: "B1",
                Role.CONTIGUITY: "B2",
                Role.LAG: "B3",
                Role.CHECKPOINT: "B3",
                Role.DEPENDENCY: "B4",
                Role.EVIDENCE: "B5",
                Role.SCOPE: "B6",
                Role.PUBLICATION: "B7",
                Role.BUDGET: "B8",
            },
        ),
        Catalogue(
            kind=Kind.SOAK,
            titles={
                "B1": "soak duration not reached",
                "B2": "lag unstable",
                "B3": "checkpoint stalled",
                "B4": "dependency snapshot or plan invalid",
                "B5": "semantic drift",
                "B6": "required evidence missing, unreadable or not attempt-scoped",
                "B7": "evidence publication failed",
                "B8": "runtime budget or cost guardrail breached, or stop not proven",
            },
            roles={
                Role.PROFILE: "B1",
                Role.LAG: "B2",
                Role.CHECKPOINT: "B3",
                Role.DEPENDENCY: "B4",
                Role.DRIFT: "B5",
                Role.INVARIANT: "B5",
                Role.EVIDENCE: "B6",
                Role.PUBLICATION: "B7",
                Role.BUDGET: "B8",
            },
        ),
        Catalogue(
            kind=Kind.RECOVERY,
            titles={
                "B0": "prerequisite snapshot or plan invalid",
                "B1": "restart failed",
                "B2": "recovery time objective missed",
                "B3": "semantic drift after recovery",
                "B4": "required evidence missing, unreadable or not attempt-scoped",
                "B5": "runtime budget breached or stop not proven",
            },
            roles={
                Role.DEPENDENCY: "B0",
                Role.RESTART: "B1",
                Role.RTO: "B2",
                Role.DRIFT: "B3",
                Role.INVARIANT: "B3",
                Role.EVIDENCE: "B4",
                Role.BUDGET: "B5",
            },
        ),
        Catalogue(
            kind=Kind.REPRODUCIBILITY,
            titles={
                "B1": "second run failed",
                "B2": "baseline run missing or not usable",
                "B3": "surface of the candidate missing, unreadable or not attempt-scoped",
                "B4": "profile or contract of the runs differs",
                "B5": "key sets differ",
                "B6": "shares of decisions drifted",
                "B7": "invariant broken",
                "B8": "evidence publication failed",
                "B9": "runtime budget breached or stop not proven",
            },
            roles={
                Role.EXECUTION: "B1",
                Role.PROFILE: "B1",
                Role.CONTIGUITY: "B1",
                Role.BASELINE: "B2",
                Role.EVIDENCE: "B3",
                Role.MATCH: "B4",
                Role.KEYSET: "B5",
                Role.SHARES: "B6",
                Role.INVARIANT: "B7",
                Role.DRIFT: "B7",
                Role.LAG: "B7",
                Role.CHECKPOINT: "B7",
                Role.PUBLICATION: "B8",
                Role.BUDGET: "B9",
            },
        ),
        Catalogue(
            kind=Kind.DRILL,
            titles={
                "B1": "drill not carried out",
                "B2": "injected fault not seen in the receipts",
                "B3": "semantic drift under the fault",
                "B4": "dependency snapshot or plan invalid",
                "B5": "required evidence missing, unreadable or not attempt-scoped",
                "B6": "scope mismatch or unresolved publish ambiguity",
                "B7": "evidence publication failed",
                "B8": "runtime budget breached or stop not proven",
            },
            roles={
                Role.PROFILE: "B1",
                Role.EXECUTION: "B1",
                Role.RESTART: "B1",
                Role.RTO: "B1",
                Role.OUTCOME: "B2",
                Role.DRIFT: "B3",
                Role.INVARIANT: "B3",
                Role.DEPENDENCY: "B4",
                Role.EVIDENCE: "B5",
                Role.SCOPE: "B6",
                Role.PUBLICATION: "B7",
                Role.BUDGET: "B8",
            },
        ),
        Catalogue(
            kind=Kind.ROLLUP,
            titles={
                "B1": "phase snapshot missing or unreadable",
                "B2": "snapshot of an unknown schema",
                "B3": "a phase did not pass",
                "B4": "blockers of a phase are open",
                "B5": "evidence family missing",
                "B6": "local copy not written",
                "B7": "evidence publication failed",
                "B8": "runtime budget breached",
            },
            roles={
                Role.EVIDENCE: "B1",
                Role.SCHEMA: "B2",
                Role.OUTCOMES: "B3",
                Role.UNION: "B4",
                Role.FAMILIES: "B5",
                Role.LOCAL_WRITE: "B6",
                Role.PUBLICATION: "B7",
                Role.BUDGET: "B8",
            },
        ),
    )
}
"""The catalogue of each kind."""
BURST = CATALOGUES[Kind.BURST]
