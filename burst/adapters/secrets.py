"""Secrets: references resolved late, to values that cannot be printed by accident.

A plan holds `env:NAME`, `file:PATH`, `ssm:NAME` or `secretsmanager:ARN`, never a value. A reference resolves to a
`redaction.Secret`, whose text is `***` in a log line, an f-string or a traceback. A placeholder is refused, because a
burst sent with one proves nothing.
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Collection, Iterable

from burst.domain.basics import errors, redaction
from burst.kit import aws

_PLACEHOLDER = re.compile(r"REPLACE_ME|TO_PIN|(?<![A-Za-z0-9])TBD(?![A-Za-z0-9])|<[A-Za-z][A-Za-z0-9 _.-]*>")
_resolved: dict[str, None] = {}
RESOLVED: Collection[str] = _resolved.keys()
"""Every value this process has resolved, a view that grows: its journal, documents and words must not hold them."""


def is_reference(text: str) -> bool:
    """Whether a text names a secret, rather than being a value."""
    return text.partition(":")[0] in _SCHEMES


def resolve(reference: str) -> redaction.Secret:
    """The secret behind a reference. Raises `errors.UsageError`, which never holds the value, and for references into
    AWS as `aws.call` does."""
    scheme, _, name = reference.partition(":")
    if scheme in _SCHEMES and name:
        return accept_literal(_SCHEMES[scheme](reference, name), origin=reference)
    # The text is not shown: it may be the secret itself, in place of a reference, and no log may hold it.
    raise errors.UsageError(f"not a secret reference (hidden, it may be the secret): use {_ALLOWED}")


def resolve_from_store(source: str) -> redaction.Secret:
    """The secret behind a task definition's `valueFrom`: an SSM parameter by name or ARN, or an ARN of Secrets
    Manager. Raises as `resolve`."""
    scheme = "secretsmanager" if ":secretsmanager:" in source else "ssm"
    return resolve(f"{scheme}:{source}")


def accept_literal(value: str, *, origin: str) -> redaction.Secret:
    """A value already at hand; raises `errors.UsageError` naming `origin` where it is empty or a placeholder."""
    if not value.strip():
        raise errors.UsageError(f"{origin} is empty; give it the real value")
    if _PLACEHOLDER.search(value):
        raise errors.UsageError(f"{origin} still holds a placeholder; give it the real value")
    if "\0" in value:
        raise errors.UsageError(f"{origin} holds a NUL character, which no secret can; give it the real value")
    _resolved[value] = None
    return redaction.Secret(value)


def redact(text: str, secrets: Iterable[redaction.Secret]) -> str:
    """`text` with every one of the secrets masked."""
    return functools.reduce(lambda words, secret: secret.redact(words), secrets, text)


def _from_environment(reference: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise errors.UsageError(f"{reference}: the environment variable {name} is not set; export it and try again")
    return value


def _from_file(reference: str, name: str) -> str:
    try:
        content = pathlib.Path(name).read_bytes().decode("utf-8")
    except OSError as failure:
        raise errors.UsageError(f"{reference} cannot be read: {failure.strerror}; check path and mode") from None
    except UnicodeDecodeError:
        raise errors.UsageError(f"{reference} is not UTF-8 text; the file must hold the value alone") from None
    return content.removesuffix("\n").removesuffix("\r")


def _from_ssm(_: str, name: str) -> str:
    ssm = aws.client("ssm")
    answer = aws.call("ssm:GetParameter", ssm.get_parameter, Name=name, WithDecryption=True)
    return str(answer["Parameter"]["Value"])


def _from_secrets_manager(reference: str, name: str) -> str:
    # arn:aws:secretsmanager:region:account:secret:name[:json-key:version-stage:version-id]
    parts = name.split(":") if name.startswith("arn:") else [name]
    key, stage, version = [*parts[7:], "", "", ""][:3]
    parameters = {"SecretId": ":".join(parts[:7])}
    parameters |= {"VersionStage": stage} if stage else {}
    parameters |= {"VersionId": version} if version else {}
    manager = aws.client("secretsmanager")
    value = str(aws.call("secretsmanager:GetSecretValue", manager.get_secret_value, **parameters)["SecretString"])
    if not key:
        return value
    try:
        return str(json.loads(value)[key])
    except (ValueError, KeyError, TypeError):
        raise errors.UsageError(f"{reference}: the secret has no JSON key {key}") from None


_SCHEMES = {
    "env": _from_environment,
    "file": _from_file,
    "ssm": _from_ssm,
    "secretsmanager": _from_secrets_manager,
}
_ALLOWED = "env:NAME, file:PATH, ssm:NAME or secretsmanager:ARN"
