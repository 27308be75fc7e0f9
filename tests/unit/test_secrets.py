"""Secrets: resolved from references, refused where they are no secrets, and never printed."""

import copy
import json
import os
import traceback
from pathlib import Path

import pytest

from burst.adapters import secrets
from burst.domain.basics import errors, redaction

PLACEHOLDERS = ["REPLACE_ME", "REPLACE_ME_IG_KEY", "TBD", "TO_PIN", "<api-key>", "postgresql://burst:<password>@db/x"]


def test_an_env_reference_names_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "opensesame")

    assert secrets.resolve("env:A_KEY").reveal() == "opensesame"


@pytest.mark.parametrize(
    ("content", "value"),
    [("key", "key"), ("key\n", "key"), ("key\r\n", "key"), ("key\n\n", "key\n"), (" key ", " key ")],
)
def test_a_file_reference_loses_one_trailing_newline(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "key").write_bytes(content.encode())

    assert secrets.resolve(f"file:{tmp_path / 'key'}").reveal() == value


@pytest.mark.parametrize("value", ["", "  ", "\n", "a\0b", *PLACEHOLDERS])
def test_what_is_no_secret_is_refused_by_its_reference_and_not_shown(tmp_path: Path, value: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(value.encode())

    with pytest.raises(errors.UsageError) as refusal:
        secrets.resolve(f"file:{path}")

    assert f"file:{path}" in str(refusal.value)
    assert not value.strip() or value not in str(refusal.value)


@pytest.mark.parametrize("value", ["aTBDb", "a<b", "x>y<z", "p<1>", "to_pin"])
def test_a_secret_that_only_resembles_a_placeholder_is_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_KEY", value)

    assert secrets.resolve("env:A_KEY").reveal() == value


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)

    with pytest.raises(errors.UsageError, match=r"env:A_KEY: the environment variable A_KEY is not set"):
        secrets.resolve("env:A_KEY")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff")])
def test_a_file_that_cannot_be_read_as_text_is_named(tmp_path: Path, make: object) -> None:
    path = tmp_path / "key"
    assert callable(make)
    make(path)

    with pytest.raises(errors.UsageError, match="key"):
        secrets.resolve(f"file:{path}")


@pytest.mark.parametrize("reference", ["ssm:/burst/dsn", "secretsmanager:arn:aws:secretsmanager:eu-west-2:1:secret:x"])
def test_a_cloud_reference_needs_a_region(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)

    with pytest.raises(errors.UsageError, match="set AWS_REGION"):
        secrets.resolve(reference)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("env:A", True), ("file:/a", True), ("ssm:/a", True), ("secretsmanager:a", True), ("120", False), ("a:b", False)],
)
def test_a_reference_is_told_from_a_value(text: str, expected: bool) -> None:
    assert secrets.is_reference(text) is expected


@pytest.mark.parametrize(
    "reference", ["hunter2", "postgresql://burst:hunter2@db/x", "env:", "file:", "hunter2:env", ""]
)
def test_a_value_given_in_place_of_a_reference_is_not_shown(reference: str) -> None:
    with pytest.raises(errors.UsageError, match="not a secret reference") as refusal:
        secrets.resolve(reference)

    assert "hunter2" not in str(refusal.value)


def test_no_way_of_printing_a_secret_shows_it() -> None:
    secret = redaction.Secret("hunter2")

    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret, str([secret]), str({"a": secret})]  # noqa: UP031

    assert not any("hunter2" in text for text in shown)
    assert str(secret) == "***"
    assert copy.deepcopy(secret).reveal() == "hunter2"


def test_a_secret_cannot_be_written_as_json() -> None:
    secret = redaction.Secret("hunter2")

    with pytest.raises(TypeError):
        json.dumps({"dsn": secret})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hunter2", "the key is hunter2."),
        ("a b/c", "sent as a%20b%2Fc"),
        ("a b/c", "sent as a+b%2Fc"),
        ("postgresql://burst:hunter2@db:5432/x", "could not connect to postgresql://burst:hunter2@db:5432/x"),
        ("postgresql://burst:hunter2@db:5432/x", "password hunter2 was wrong"),
        ("postgresql://burst:hunt%2Fer2@db/x", "password hunt/er2 was wrong"),
        ("postgresql://burst:hunt%2Fer2@db/x", "password hunt%2Fer2 was wrong"),
        ("postgresql://db/x?user=burst&password=hunter2", "password hunter2 was wrong"),
        ("host=db password=hunter2 dbname=x", "password hunter2 was wrong"),
        ("host=db password = 'hun\\'t er2'", "password hun't er2 was wrong"),
    ],
)
def test_redacting_masks_every_spelling(value: str, text: str) -> None:
    redacted = secrets.redact(text, [redaction.Secret("other"), redaction.Secret(value)])

    assert "***" in redacted
    assert not any(part in redacted for part in ("hunt", "er2", "a b", "a%20", "a+b"))


def test_redacting_leaves_other_words_alone() -> None:
    dsn = redaction.Secret("postgresql://burst@db/x")

    assert secrets.redact("burst cannot reach db", [dsn]) == "burst cannot reach db"


@pytest.mark.parametrize("value", ["x", "postgresql://burst:x@db/xx", "host=db password=x dbname=xx"])
def test_a_short_secret_is_masked_where_a_value_stands_and_in_no_word(value: str) -> None:
    text = "the next index of xx: password=x, user 'x', x"

    assert secrets.redact(text, [redaction.Secret(value)]) == "the next index of xx: password=***, user '***', x"
    assert redaction.Redactor([value]).text(text) == "the next index of xx: password=***, user '***', x"


def test_a_traceback_of_a_refused_secret_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "REPLACE_ME_hunter2")

    with pytest.raises(errors.UsageError) as refusal:
        secrets.resolve("env:A_KEY")

    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
