"""Failures of Postgres: which may pass, which are about the query, and which of burst's errors each becomes."""

from collections.abc import Callable

import psycopg
import sqlalchemy

from burst.domain.basics import errors

MISSING_PRIVILEGE = "42501"

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT_STATES = frozenset({"57P01", "57P02", "57P03", "53300", "40001"})
_TIMEOUT_STATES = frozenset({"57014", "55P03"})
_QUERY_CLASSES = ("0A", "21", "22", "3F", "42", "P0")
# libpq gives no SQLSTATE where no connection was made, so its words tell which refusals waiting cannot heal.
_LOGIN_REFUSALS = (
    "authentication failed",
    "certificate verify failed",
    "does not exist",
    "does not support SSL",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "permission denied for database",
)


def read_state(failure: BaseException) -> str | None:
    """The SQLSTATE, where the failure has one."""
    original = failure.orig if isinstance(failure, sqlalchemy.exc.DBAPIError) else failure
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def read_words(failure: BaseException) -> str:
    """The database's or the driver's own words, in one line. Detail lines are left out: they may hold rows."""
    original = failure.orig if isinstance(failure, sqlalchemy.exc.DBAPIError) else failure
    primary = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return " ".join((primary or str(original)).split())


def is_transient(failure: BaseException) -> bool:
    """Whether the same attempt may succeed a moment later."""
    if isinstance(failure, TimeoutError):
        return True
    state = read_state(failure)
    if state is not None:
        return state in _TRANSIENT_STATES or state.startswith("08")
    lost = isinstance(failure, sqlalchemy.exc.OperationalError | psycopg.OperationalError)
    return lost and not any(refusal in str(failure) for refusal in _LOGIN_REFUSALS)


def is_about_the_query(failure: BaseException) -> bool:
    """Whether table, columns or a fact query are wrong, and not the database."""
    state = read_state(failure)
    if state is None:
        return isinstance(failure, sqlalchemy.exc.DataError | sqlalchemy.exc.ProgrammingError | psycopg.DataError)
    return state.startswith(_QUERY_CLASSES)


def translate(failure: Exception, *, act: str, attempts: int, redact: Callable[[str], str]) -> errors.BurstError:
    """The error of burst for a failure of `act`, with what to do about it; `redact` cleans its words."""
    kind, advice = _choose_error(failure, attempts)
    return kind(redact(f"{act}: {read_words(failure)}; {advice}"))


def _choose_error(failure: Exception, attempts: int) -> tuple[type[errors.BurstError], str]:
    state = read_state(failure) or ""
    if is_transient(failure):
        return errors.Unavailable, f"this was attempt {attempts}: check that the database is up and can be reached"
    if state in _TIMEOUT_STATES:
        return errors.Unavailable, "it took too long: give it more time, or find what holds the lock"
    if not state and any(refusal in str(failure) for refusal in _LOGIN_REFUSALS):
        return errors.Refused, "the database does not let burst in: correct the DSN"
    if state == MISSING_PRIVILEGE:
        return errors.Refused, "grant SELECT to the user of the DSN"
    if state.startswith("25"):
        return errors.UsageError, "burst only reads, so the query must not write"
    if is_about_the_query(failure):
        return errors.UsageError, "correct table, columns or query"
    return errors.Refused, f"the database could not do it (SQLSTATE {state or 'unknown'}): ask its administrator"
