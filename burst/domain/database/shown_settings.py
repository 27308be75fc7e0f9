"""Shown settings: which settings of a server, a database or a role may be shown with their value.

A value is shown only where nobody would put a secret: numbers, switches and choices, and texts of Postgres' own whose
name says nothing of commands, connections or keys. Texts of extensions and of applications (names with a dot) stay
hidden, but for the extensions that ship with Postgres. A hidden one is still known to be set.
"""

import re

PLAIN_TYPES = frozenset({"bool", "integer", "real", "enum"})
"""The types of `pg_settings.vartype` whose values are never secrets."""
_MAY_HOLD_SECRET = re.compile(
    r"command|conninfo|connect_string|pass|secret|token|key|cred|auth|private|cookie|licen[cs]e|dsn|uri\b|url"
    r"|options|role_validator|session_authorization",
    re.IGNORECASE,
)
_OWN_PREFIXES = frozenset({"auto_explain", "pg_stat_statements", "plpgsql", "pg_prewarm", "auth_delay"})
_PLAIN_VALUE = re.compile(r"-?\d+(\.\d+)?\s*(B|kB|MB|GB|TB|us|ms|s|min|h|d)?|on|off|true|false|yes|no", re.IGNORECASE)


def may_show(name: str, type_name: str | None = None) -> bool:
    """Whether the value of a setting may be shown; `type_name` None: its type is not known."""
    if type_name in PLAIN_TYPES:
        return True
    prefix, dot, _ = name.rpartition(".")
    if dot and prefix not in _OWN_PREFIXES:
        return False
    return _MAY_HOLD_SECRET.search(name) is None


def show_assignment(name: str, value: str) -> str | None:
    """The value that a role or a database has of its own, whose type is not known; None where it may not be shown."""
    if may_show(name):
        return value
    return value if _PLAIN_VALUE.fullmatch(value) and _MAY_HOLD_SECRET.search(name) is None else None
