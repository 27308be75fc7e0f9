"""Redaction: text from outside (errors, stop reasons, answers) is cleaned before it enters a journal or a document.

A field that holds an identifier keeps a text that looks like one. Every other text loses secrets of this process in any
spelling, credentials and query strings in addresses, control characters, and its end beyond `LONGEST` characters.
Redaction comes before any hash. Redacting a text again changes nothing, so a journal can be rewritten from any line.
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Any

MASK = "***"
LONGEST = 4000
"""Characters of one text; a longer text is cut and ends in an ellipsis."""
SHORTEST_SECRET = 4
"""A shorter secret is masked only where it stands as a value: masks in many words would spell it out."""

_IDENTIFIERS = frozenset(
    """
    answer answer_sha256 asked_at asked_by asked_utc at at_utc blind_since_utc blocker capacity cause check
    checked_utc counted_utc created_at database_clock_utc deadline deadline_utc end end_source end_utc ended_by
    event_id execution_id go_at go_utc id layer load_ended_at load_ended_utc name plan_sha256 platform_run_id
    receipt_utc rule runbook schema scope sent_utc sha256 shortage sight_regained_utc signal start start_utc
    started_at started_utc state status stop_asked_utc stop_code stopped_at stopped_by stopped_utc task_id via when
    """.split()  # noqa: SIM905 - a word a line would be a page
)
_STATEMENTS = frozenset({"sql", "source", "value", "equals"})
"""Fields that hold a statement, or an answer to one: they keep their lines and length, so that it can be run again."""
_NAMED_BY_PROGRAMS = frozenset({"failed", "marked_utc", "markers", "refused"})
"""Mappings whose names are words from outside, also where a name looks like an identifier."""
_REQUEST_ROWS = frozenset({"requests", "requests_statistics", "failures_statistics", "response_time_statistics"})
"""Rows of requests, in burst's load account and in Locust's page, whose `name` is one that a program gives."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,:/+-]{0,499}", re.ASCII)
_KEYWORD_PASSWORD = re.compile(r"(?:^|[\s?&])password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)", re.DOTALL)

_END = r"\s\"'<>`"
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?"
)
_LINE_BREAK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _mask_credentials(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}@{match[2].rpartition('@')[2]}" if "@" in match[2] else match[0]


def _mask_query(match: re.Match[str]) -> str:
    return f"{match[1]}?{MASK}" if match[2] else match[0]


def _mask_parameters(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}" if "=" in match[2] else match[0]


# A text from outside may have any length, so each pattern reads it once: what it has read it keeps (`*+`), and no match
# begins within the name that was tried before.
_IN_ADDRESSES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"(://)([^?#{_END}]*+)"), _mask_credentials),
    (re.compile(rf"(://[^?#{_END}]*+)(\?[^#{_END}]+)?"), _mask_query),
    (re.compile(rf"([/\w.-]\?)([^{_END}]*+)"), _mask_parameters),
    (re.compile(rf"(://[^{_END}#]*+#?)([^{_END}]*+)"), _mask_parameters),
    (
        re.compile(
            r"(?i)((?:password|passwd|pwd|secret_?access_?key|session_?token)[\"']?\s*[=:]\s*)"
            r"(?:\*{3}(?=[}\])])|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&'\"]+)"
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(?i)(?<![\w-])((?:(?=[\w-]*?\bx-)[\w-]++(?:(?<=key)|(?<=token)|(?<=secret))"
            r"|[\w-]++(?<=\bauthorization))[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"',]+"
        ),
        rf"\1{MASK}",
    ),
)


def plain(text: str) -> str:
    """The text and its lines without characters that move a cursor or hide text."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _ESCAPE.sub("", text)))


def forms(value: str) -> set[str]:
    """Every spelling in which a secret could appear in a message; for a DSN, its password's spellings too."""
    bare = {value, *_passwords(value)}
    bare |= {urllib.parse.unquote(form) for form in bare}
    quoted = {urllib.parse.quote(form, safe="") for form in bare}
    for quote in (urllib.parse.quote, urllib.parse.quote_plus):
        quoted |= {quote(form) for form in bare}
    return {form for form in bare | quoted if form.strip("*")}


def _passwords(dsn: str) -> Iterable[str]:
    """The password inside a DSN, be it a URL or libpq keywords."""
    _, separator, address = dsn.partition("://")
    userinfo, at, _ = address.rpartition("@")
    if separator and at:
        yield userinfo.partition(":")[2]
    for match in _KEYWORD_PASSWORD.finditer(dsn.replace("?", "&")):
        password = match.group(1)
        yield re.sub(r"\\(.)", r"\1", password[1:-1]) if password.startswith("'") else password


def _encodings(form: str) -> set[str]:
    """A spelling in JSON, Python and base64."""
    raw = form.encode("utf-8", "surrogatepass")
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    quoted = {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], repr(form)[1:-1]}
    return {form, _join_lines(plain(form)), *quoted, *encoded, *(text.rstrip("=") for text in encoded)}


def _join_lines(text: str) -> str:
    return _LINE_BREAK.sub(" ", text)


def _find_spellings(spellings: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern that finds every spelling, the longest first; None where there is none. A short one is found only
    where a value stands: behind `=`, `:` or a quote, and up to the end of that value."""
    ordered = sorted({each for each in spellings if each.strip("* ")}, key=lambda each: (-len(each), each))
    long_enough = [re.escape(each) for each in ordered if len(each) >= SHORTEST_SECRET]
    short = "|".join(re.escape(each) for each in ordered if len(each) < SHORTEST_SECRET)
    as_value = [rf"(?<=[=:\"'`])(?:{short})(?=[\s\"'`@&;,)}}\]]|$)"] if short else []
    return re.compile("|".join([*long_enough, *as_value])) if ordered else None


class Secret:
    """A value whose text is `***`; not a dataclass, so no walker of fields ever meets the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return MASK

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def redact(self, text: str) -> str:
        """`text` with the value, its URL-quoted form and the password within it (where it is a DSN) masked."""
        spellings = _find_spellings(forms(self._value))
        return spellings.sub(MASK, text) if spellings else text


class Redactor:
    """Cleans words. `secrets` may grow: a secret resolved while a run goes on is masked from then on."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets = secrets
        self._masked_secrets: tuple[str, ...] = ()
        self._masks: re.Pattern[str] | None = None

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an event or a document, cleaned at any depth."""
        return {key: self._value(key, value) for key, value in fields.items()}

    def text(self, words: str, *, statement: bool = False) -> str:
        """A text from outside, cleaned; a statement keeps its lines and length."""
        while (cleaned := self._clean_once(words, statement=statement)) != words:
            words = cleaned
        return words

    def _mapping(self, key: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """A mapping with clean names too: an error class is what a program or its peer calls it. Counts of names that
        are the same once they are clean are added up."""
        cleaned: dict[str, Any] = {}
        for name, part in value.items():
            stays = key not in _NAMED_BY_PROGRAMS and _IDENTIFIER.fullmatch(name)
            clean_name = name if stays else self.text(name)
            is_request_name = name == "name" and key in _REQUEST_ROWS
            clean_part = self._value("" if is_request_name else name, part)
            is_count = isinstance(clean_part, int) and isinstance(cleaned.get(clean_name), int)
            cleaned[clean_name] = cleaned[clean_name] + clean_part if is_count else clean_part
        return cleaned

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, Mapping):
            return self._mapping(key, value)
        if isinstance(value, list | tuple):
            return [self._value(key, part) for part in value]
        if not isinstance(value, str) or (key in _IDENTIFIERS and _IDENTIFIER.fullmatch(value)):
            return value
        return self.text(value, statement=key in _STATEMENTS)

    def _clean_once(self, words: str, *, statement: bool) -> str:
        words = plain(self._mask_secrets(words))
        for pattern, without in _IN_ADDRESSES:
            words = pattern.sub(without, words)
        words = re.sub(r"\*{3,}", MASK, words)
        if statement:
            return words
        words = _join_lines(words)
        return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"

    def _mask_secrets(self, words: str) -> str:
        secrets = tuple(self._secrets)
        if secrets != self._masked_secrets:
            encodings = {code for secret in secrets for form in forms(secret) for code in _encodings(form)}
            self._masked_secrets = secrets
            self._masks = _find_spellings(encodings)
        return self._masks.sub(MASK, words) if self._masks else words
