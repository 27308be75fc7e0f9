"""Tokens of one SQL statement, of the few forms that a change needs; everything else is refused with its place.

Comments, dollar quotes, texts with a prefix, semicolons and names of more than 63 bytes are refused: a statement of a
stage needs none of them, and each has hidden a second statement before.
"""

import re
from dataclasses import dataclass
from typing import Literal

LONGEST_STATEMENT = 8000
LONGEST_NAME_BYTES = 63
"""Postgres cuts a longer name short, and the shorter one may be another thing."""
Kind = Literal["word", "name", "text", "number", "symbol", "end"]

_SPACE = re.compile(r"[ \t\n]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_SYMBOL = re.compile(r"::|<=|>=|<>|[(),.=<>-]")
_NUL_OR_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff]")


class StatementRefused(ValueError):
    """A statement that is not one of the allowed kinds; the message gives the place, the text seen and the allowed."""

    def __init__(self, at: int, seen: str, allowed: str) -> None:
        words = seen if len(seen) <= 40 else f"{seen[:37]}..."
        super().__init__(f"{allowed} (character {at + 1}: saw {words})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlToken:
    """One token. A `word` is folded to lower case, a `name` and a `text` have lost their quotes. `at` counts from 0."""

    kind: Kind
    text: str
    at: int

    @property
    def shown(self) -> str:
        """The token as a message names it; a text is hidden, it may be a secret."""
        if self.kind == "end":
            return "the end"
        return "a quoted text" if self.kind == "text" else repr(self.text)


def split_statement(statement: str, *, stop_at: str | None = None) -> tuple[SqlToken, ...]:
    """The tokens of a statement, an `end` the last; with `stop_at` those before that word alone, and what follows is
    not looked at. Raises `StatementRefused`."""
    if len(statement) > LONGEST_STATEMENT:
        at, sight = LONGEST_STATEMENT, f"{len(statement)} characters"
        raise StatementRefused(at, sight, f"expected a statement of at most {LONGEST_STATEMENT} characters")
    if control := _NUL_OR_CONTROL.search(statement):
        sight = f"U+{ord(control.group()):04X}"
        raise StatementRefused(control.start(), sight, "expected a statement without control characters")
    tokens: list[SqlToken] = []
    at = 0
    while at < len(statement):
        if space := _SPACE.match(statement, at):
            at = space.end()
            continue
        token, at = _read_token(statement, at)
        if stop_at is not None and (token.kind, token.text) == ("word", stop_at):
            return (*tokens, SqlToken(kind="end", text="", at=token.at))
        tokens.append(token)
    return (*tokens, SqlToken(kind="end", text="", at=len(statement)))


def _read_token(statement: str, at: int) -> tuple[SqlToken, int]:
    if statement[at] in "'\"":
        return _read_quoted(statement, at)
    if statement.startswith(("--", "/*"), at):
        raise StatementRefused(at, repr(statement[at : at + 2]), "expected a statement without comments")
    if word := _WORD.match(statement, at):
        following = statement[word.end() : word.end() + 1]
        if following in ("'", "$", "&") and following:
            raise StatementRefused(word.end(), repr(following), "expected a text in plain quotes, without a prefix")
        _refuse_long_name(word.group(), at)
        return SqlToken(kind="word", text=word.group().lower(), at=at), word.end()
    if number := _NUMBER.match(statement, at):
        if _WORD.match(statement, number.end()):
            token = repr(statement[at : number.end() + 1])
            raise StatementRefused(at, token, "expected a number, or a number with its unit in quotes such as '64MB'")
        return SqlToken(kind="number", text=number.group(), at=at), number.end()
    if symbol := _SYMBOL.match(statement, at):
        return SqlToken(kind="symbol", text=symbol.group(), at=at), symbol.end()
    if statement[at] == ";":
        raise StatementRefused(at, "';'", "expected one statement, without a semicolon; give each its own line")
    if statement[at] == "$":
        raise StatementRefused(at, "'$'", "expected a text in plain quotes, not in dollar quotes, and no parameter")
    raise StatementRefused(at, ascii(statement[at]), "expected words, numbers, quoted names and texts")


def _read_quoted(statement: str, at: int) -> tuple[SqlToken, int]:
    quote, parts, start = statement[at], [], at + 1
    while True:
        end = statement.find(quote, start)
        if end < 0:
            raise StatementRefused(at, repr(quote), "expected a quote that is closed")
        parts.append(statement[start:end])
        if not statement.startswith(quote, end + 1):
            break
        parts.append(quote)
        start = end + 2
    text = "".join(parts)
    if quote == "'":
        return SqlToken(kind="text", text=text, at=at), end + 1
    if not text:
        raise StatementRefused(at, '""', "expected a name that is not empty")
    _refuse_long_name(text, at)
    return SqlToken(kind="name", text=text, at=at), end + 1


def _refuse_long_name(name: str, at: int) -> None:
    if len(name.encode(errors="replace")) > LONGEST_NAME_BYTES:
        allowed = f"expected names of at most {LONGEST_NAME_BYTES} bytes"
        raise StatementRefused(at, f"{name[:20]}... of {len(name.encode(errors='replace'))} bytes", allowed)
