"""Failures of Postgres: which may pass, which are about the query, and which of burst's errors each becomes.

Codes are judged one by one, because a class of SQLSTATEs holds failures that need different answers. libpq gives no
SQLSTATE where no connection was made: there its words tell. They are held against a list of failures that pass, so that
any other refusal, also one that no version of burst has met, is said at once and not waited for.
"""

import re
from collections.abc import Callable

import psycopg
import sqlalchemy

from burst.domain.basics import errors, wording
from burst.domain.receipts import receipt_table

MISSING_PRIVILEGE = "42501"
NO_INSTANT = frozenset({"22007", "22008", "22009"})
"""A text that is no instant, an instant out of range, an offset out of range."""
NO_INSTANT_BY_NUMBER = NO_INSTANT | {"22003", "0A000"}
"""The same, a number out of range, and one that is none or infinite."""

PREPARED_ELSEWHERE = frozenset({"26000", "42P05"})
"""A prepared statement that this server does not have, or has already."""

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT_STATES = frozenset(
    """
    08000 08001 08003 08006 08007 25P03 26000 40001 40P01 42P05 53000 53100 53200 53300 57P01 57P02 57P03 57P05
    """.split()  # noqa: SIM905 - a word a line would be a page
)
_TIMEOUT_ADVICE = {
    "57014": "it took too long: give it more time, or find what holds the lock",
    "55P03": "it took too long: give it more time, or find what holds the lock",
    "25P04": "the transaction_timeout of server or role is shorter than a count takes: raise it for the role",
}
_LOGIN_STATES = frozenset({"08004", "08P01", "28000", "28P01", "3D000"})
_POOLER_STATES = frozenset({"08P01", "XX000"})
"""What poolers give for every failure of their own, for good or for a while: there their words tell."""
_WRITES = "25006"
LONGEST_WORDS = 1_000
"""Characters of a failure's words in a message."""
_QUERY_CLASSES = ("0A", "21", "22", "3F", "42", "P0", "25001")
"""Beginnings of SQLSTATEs. 25001 is of a query that wants to change its own transaction."""
_ROW_SECURITY_FILE = "rls.c"
_ROW_SECURITY_ADVICE = (
    "rows that a policy hides would not be counted: give the role of the DSN BYPASSRLS, or let the DSN name a role "
    "that the policy does not apply to"
)

_CONNECTING = ("connection failed:", "connection is bad:", "failed to resolve host", "connection timeout expired")
_NEVER_REACHED = re.compile(r"connection is bad: (?!connection to server)")
"""libpq read the DSN, and tried no server."""
_PASSING_WORDS = re.compile(
    r"too many|starting up|shutting down|recovery|time-?d?[ -]?out|_timeout\b|cannot connect|the database system is"
    r"|slots are reserved|no more connections|conn crashed|server login failed|try again|max client"
    r"|administrator command|hot standby"
    r"|session is (?:not )?read-only|Connection refused|reset by peer|Broken pipe|No route to host|unreachable"
    r"|Host is down|closed the connection|on socket .* failed: No such file|failed to resolve host"
    r"|could not translate host name|Cannot assign requested address|Cannot allocate memory|unexpected eof"
    r"|closed unexpectedly|SYSCALL|could not (?:receive|send) data|temporarily unavailable",
    re.IGNORECASE,
)
"""Words of servers, poolers and networks that are away for a while."""
_WRONG_PASSWORD = re.compile(r"authentication failed|no password supplied|password .*expired", re.IGNORECASE)
_NO_OPTIONS = "unsupported startup parameter"


class TableMoved(TimeoutError):
    """A part of a table was rewritten while it was read; a moment later it can be read as it is then."""


def _read_original(failure: BaseException) -> BaseException:
    """The driver's failure."""
    original = failure.orig if isinstance(failure, sqlalchemy.exc.DBAPIError) else None
    return original or failure


def read_state(failure: BaseException) -> str | None:
    """The SQLSTATE, where the failure has one."""
    original = _read_original(failure)
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def read_words(failure: BaseException) -> str:
    """The database's or the driver's own words, in one line. Detail lines are left out: they may hold rows."""
    original = _read_original(failure)
    primary = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return " ".join((primary or str(original)).split())


def is_transient(failure: BaseException) -> bool:
    """Whether the same attempt may succeed a moment later."""
    if isinstance(failure, TimeoutError):
        return True
    state = read_state(failure)
    if state in _POOLER_STATES:
        return _PASSING_WORDS.search(read_words(failure)) is not None
    if state is not None:
        return state in _TRANSIENT_STATES
    lost = isinstance(failure, sqlalchemy.exc.OperationalError | psycopg.OperationalError)
    return lost and not _is_connection_refused(failure)


def _is_connection_refused(failure: BaseException) -> bool:
    """Whether no connection was made, for a reason that waiting does not heal."""
    words = str(_read_original(failure))
    if read_state(failure) is not None or not words.startswith(_CONNECTING):
        return False
    return _NEVER_REACHED.match(words) is not None or _PASSING_WORDS.search(words) is None


def is_wrong_password(failure: BaseException) -> bool:
    """Whether the server knows the role and does not take its password, or not any more."""
    state = read_state(failure)
    if state is not None:
        return state in ("28000", "28P01")
    words = str(_read_original(failure))
    return words.startswith(_CONNECTING) and _WRONG_PASSWORD.search(words) is not None


def hides_rows(failure: BaseException) -> bool:
    """Whether a policy of row-level security would have hidden rows from the query."""
    original = _read_original(failure)
    if not isinstance(original, psycopg.Error) or read_state(failure) != MISSING_PRIVILEGE:
        return False
    return original.diag.source_file == _ROW_SECURITY_FILE or "row-level security" in read_words(failure)


def is_about_the_query(failure: BaseException) -> bool:
    """Whether table, columns or a fact query are wrong, and not the database."""
    state = read_state(failure)
    if state is None:
        return isinstance(failure, sqlalchemy.exc.DataError | sqlalchemy.exc.ProgrammingError | psycopg.DataError)
    return state.startswith(_QUERY_CLASSES)


def describe(failure: BaseException) -> str:
    """The words of a failure about the query, with the advice that they need."""
    return f"{read_words(failure)}; {_ROW_SECURITY_ADVICE}" if hides_rows(failure) else read_words(failure)


def translate(failure: Exception, *, act: str, attempts: int, redact: Callable[[str], str]) -> errors.BurstError:
    """The error of burst for a failure of `act`, with what to do about it; `redact` cleans its words."""
    kind, advice = _choose_error(failure, attempts)
    return kind(f"{redact(act)}: {show_words(failure, redact)}; {redact(advice)}")


def show_words(failure: BaseException, redact: Callable[[str], str]) -> str:
    """The words of a failure as a message quotes them: cleaned, and then cut, as they may quote a whole value."""
    return wording.shorten(redact(read_words(failure)), LONGEST_WORDS)


def _choose_error(failure: Exception, attempts: int) -> tuple[type[errors.BurstError], str]:
    state = read_state(failure) or ""
    if is_transient(failure):
        return errors.Unavailable, f"this was attempt {attempts}: check that the database is up and can be reached"
    if state in _TIMEOUT_ADVICE:
        return errors.Unavailable, _TIMEOUT_ADVICE[state]
    if state in _LOGIN_STATES or _is_connection_refused(failure):
        return errors.Refused, f"{receipt_table.LOGIN_REFUSED}: {_advise_login(failure)}"
    if hides_rows(failure):
        return errors.Refused, _ROW_SECURITY_ADVICE
    if state == MISSING_PRIVILEGE:
        return errors.Refused, "grant SELECT to the user of the DSN"
    if state == _WRITES:
        return errors.UsageError, "burst only reads, so the query must not write"
    if is_about_the_query(failure):
        return errors.UsageError, "correct table, columns or query"
    return errors.Refused, f"the database could not do it (SQLSTATE {state or 'unknown'}): ask its administrator"


def _advise_login(failure: Exception) -> str:
    if _NO_OPTIONS in str(failure):
        return "a pooler takes no such parameter: take options out of the DSN, or set them by ALTER ROLE"
    return "correct the DSN"
