"""What the patterns of plans, campaigns, stages, score files and owner files allow, in words, each with an example."""

from dataclasses import dataclass

from burst.domain.plan import field_types


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternWords:
    """What a pattern allows, and a text that fits it."""

    words: str
    example: str


_DIGEST = "0123456789abcdef" * 4
_NAME_OF_SMALL_LETTERS = "small letters, digits, _ and -, of which the first is a letter or a digit"
_PARTS = "parts of capital letters and digits, with _ between them"
_BEGINS_WITH_A_LETTER = "small letters, digits and _, of which the first is a letter"
_SETTING_LETTERS = "small letters, digits, _ and ., of which the first is a letter"

WORDS = {
    pattern: PatternWords(words=words, example=example)
    for pattern, words, example in (
        (
            field_types.RUN_ID_PATTERN,
            "3 to 100 ASCII letters, digits, _ and -, of which the first is a letter or a digit",
            "m10_first",
        ),
        (r"^[0-9a-f]{64}$", "a SHA-256 digest: 64 of the digits 0 to 9 and a to f", _DIGEST),
        (
            r"^sha256:[0-9a-f]{64}$",
            "sha256: and 64 of the digits 0 to 9 and a to f",
            f"sha256:{'0123456789abcdef' * 4}",
        ),
        (
            r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$",
            "1 to 4 parts with . between them, each of 1 to 16 capital letters and digits, the first of them a letter",
            "M10.F",
        ),
        (r"^(stop_when\.arn:.*)?\S+$", "a key of the plan, without spaces", "gates.multiplier"),
        (r"^[a-z][a-z_]*(\.[A-Za-z0-9_]+)*$", "a key of the plan, with . between its parts", "gates.multiplier"),
        (
            r"^(Average|Maximum|Minimum|Sum|SampleCount|p\d{1,2}(\.\d{1,2})?)$",
            "Average, Maximum, Minimum, Sum, SampleCount or a percentile",
            "p99.9",
        ),
        (
            r"^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$",
            "1 to 31 ASCII letters, digits, _ and -, of which the first is a letter or a digit",
            "wider-index",
        ),
        (r"^[a-z0-9][a-z0-9_-]{0,14}$", f"1 to 15 {_NAME_OF_SMALL_LETTERS}", "restart-writer"),
        (r"^[a-z0-9][a-z0-9_-]{0,19}$", f"1 to 20 {_NAME_OF_SMALL_LETTERS}", "migrate"),
        (r"^[a-z0-9][a-z0-9_-]{0,63}$", f"1 to 64 {_NAME_OF_SMALL_LETTERS}", "dual-write"),
        (r"^[a-z][a-z0-9_]{0,30}$", f"1 to 31 {_BEGINS_WITH_A_LETTER}", "soak_30m"),
        (r"^[a-z][a-z0-9_]{0,63}$", f"1 to 64 {_BEGINS_WITH_A_LETTER}", "total_time"),
        (r"^[a-z][a-z0-9_.]{0,62}$", f"1 to 63 {_SETTING_LETTERS}", "synchronous_commit"),
        (r"^[a-z][a-z0-9_.]{0,99}$", f"1 to 100 {_SETTING_LETTERS}", "sessions.waiting"),
        (r"^[a-z]{2,4}(-[a-z]+)+-\d$", "a region of AWS", "eu-west-2"),
        (r"^\d{12}$", "the 12 digits of an AWS account, in quotes", "123456789012"),
        (r"^/", "a JSON pointer, which begins with /", "/lag/max"),
        (
            r"^https?://[^/\s@?#:][^/\s@?#]*(/[^\s@?#]*)?$",
            "an address that begins with http:// or https://, without user, password, ? and #",
            "http://prometheus.internal:9090",
        ),
        (r"^[A-Za-z0-9][A-Za-z0-9_:/-]*:\d+$", "a task definition with its revision", "gateway:12"),
        (r"^[A-Z][A-Z0-9_]{1,80}$", "2 to 81 capital letters, digits and _, of which the first is a letter", "ADVANCE"),
        (
            r"^UNLOCK(_[A-Z0-9]+)+$",
            f"UNLOCK_ and {_PARTS}",
            "UNLOCK_M11",
        ),
        (r"^HOLD(_[A-Z0-9]+)+$", f"HOLD_ and {_PARTS}", "HOLD_M11"),
        (
            r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$",
            "1 to 200 ASCII letters, digits, _, . and -, of which the first is a letter or a digit",
            "m10_f_metrics.json",
        ),
        (r"^[A-Za-z/%]{1,20}$", "1 to 20 letters, / and %", "events/s"),
        (r"^([0-9]{1,4}(?:\.[0-9]{1,6})?)\s?%$", "a number with %", "2.5 %"),
        (r"^B\d{1,2}$", "a short blocker id: B and its number", "B1"),
        (r"^[^\x00-\x1f]+$", "one line without control characters", "the team of the ingest"),
    )
}
"""By the pattern. A pattern of a file that people write has to be among them."""


def describe(pattern: str) -> str:
    """What a pattern allows, for somebody who reads no regular expressions."""
    allowed = WORDS[pattern]
    return f"{allowed.words}, such as {allowed.example}"
