"""The receipts' table and its database as preflight asks about them: frozen answers, judged elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.receipts import receipts

WRITE_PRIVILEGES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
CANARY_PREFIX = "burst-canary-"
"""How the id of every canary begins, so that a count can leave canaries out."""
LOGIN_REFUSED = "the database does not let burst in"
"""How every version of burst says that a server refused its login."""


TIME_UNITS: Mapping[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""The units of a time column that holds numbers since 1970, each in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """A table of receipts (`name` or `schema.name`), and how it writes time and decision, where that is not as the
    platform does.

    `time_unit`: the time is a number of these units since 1970, UTC. `decision_words`: each decision with the words
    that stand for it in the table; one that is not named stands for itself.
    """

    name: str = "receipts"
    time_unit: str | None = None
    decision_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def name_decision(self, word: str) -> str:
        """The decision that a word of the table stands for; the word itself where it stands for none."""
        for decision, words in self.decision_words.items():
            if word in words:
                return decision
        return f"{word}, for which other words stand" if word in self.decision_words else word


PLAIN_FORM = TableForm()
"""The platform's own form: a time as text or instant, and decisions by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """The server that answers. `version_number` is Postgres' own, such as 160002."""

    version_number: int
    standby: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePrivileges:
    """The rights of the DSN's role on the table, in the order of `WRITE_PRIVILEGES`; reading is none of them."""

    writes: tuple[str, ...]
    read_only_sessions: bool
    """Whether the role's sessions are read-only unless they ask for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesSample:
    """Receipt times as they are written in the table. `textual`: the column holds text and not an instant.

    A time `without_time_of_day` is a date, which is no instant.
    """

    sampled: int
    without_offset: int
    textual: bool
    without_time_of_day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeContents:
    """Every receipt of a scope up to a day from now.

    `canaries` of the receipts belong to canaries; None: the table has no such column of event ids. `admissions` are
    those of the ingest's own table, without canaries; None: there is no such table.
    """

    counts: receipts.Counts
    canaries: int | None
    admissions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceipt:
    """The receipt of one event."""

    decision: str
    at: datetime
