"""AWS calls: makes clients, sets their timeouts, and turns botocore's errors into burst's own.

In the kit because every AWS adapter needs it and adapters do not import each other. Clients give up soon and never
repeat a call by themselves: the adapter decides whether a call may be repeated, with which token and until when.
Throttling is recognised by code and by message, because ECS also sends it as a wrong parameter.
botocore is imported when the first client is made, not before: the guard and `burst --help` have to be quick.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from burst.domain.basics import errors, instants
from burst.kit import standing_clients

if TYPE_CHECKING:
    import tenacity

    from burst import ports

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
READ_ATTEMPTS = 3
PAUSE_SECONDS = 0.2
LONGEST_MESSAGE = 400

_THROTTLED = re.compile(r"rate exceeded|throttl|too many requests|reduce your request rate", re.IGNORECASE)
_THROTTLE_CODES = frozenset(
    [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
    ]
)
_PASSING_CODES = frozenset(
    [
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "InternalServerError",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ConditionalRequestConflict",
        "OperationAborted",
    ]
)
_CREDENTIAL_CODES = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    ]
)
_SKEW_CODES = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_DENIED_CODES = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "AllAccessDisabled",
        "Forbidden",
        "403",
    ]
)
_ABSENT_CODES = frozenset(["NoSuchKey", "NoSuchVersion", "NotFound", "404", "ResourceNotFoundException"])
_CONFLICT_CODES = frozenset(["PreconditionFailed", "412", "ConflictException"])
_REDIRECTS = range(300, 400)
_PROXY_ASKS = 407
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}")
_USERINFO = re.compile(r"://[^\s/@]+@")
_VALUE = re.compile(r"value: .*?, type:", re.DOTALL)

_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
CredentialSources: TypeAlias = tuple[frozenset[tuple[str, str]], tuple[tuple[int, int] | None, ...], int]
"""The variables and the stamps of the files that a session reads its settings and credentials from, and how often keys
were refused although neither had changed: a login, a program or a role may then give others."""
_refusals = 0
_session_lock = threading.Lock()
"""Held while a session makes a client: that is not safe on two threads, calls of a client are."""


class Throttled(errors.Unavailable):
    """AWS asks for fewer calls; the same call may succeed a little later."""


class TimedOut(errors.Unavailable):
    """No answer in the time a client waits; the call may have been carried out."""


class Garbled(errors.Unavailable):
    """The bytes of an answer do not match its checksum; a repeat returns the same bytes."""


class Absent(errors.Refused):
    """The call names a resource that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """AWS's answer to a call that it did not carry out. `code` is empty where there was no answer at all."""

    code: str = ""
    message: str = ""
    status: int = 0
    request_id: str = ""
    resources: tuple[str, ...] = ()
    """The resources that a ConflictException names."""


def client(
    service: str,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
    checksums: Literal["when_supported", "when_required"] = "when_supported",
    region_name: str | None = None,
) -> Any:
    """A client with burst's settings, which takes new keys once AWS has refused those it has.

    Region (unless it is an argument), credentials and endpoints come from where boto3 always takes them. Raises
    `errors.UsageError` where there is no region, `errors.Refused` without credentials.
    """
    import botocore.config

    settings = botocore.config.Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
        tcp_keepalive=True,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        user_agent_extra="burst",
    )
    make = functools.partial(_make_client, service, region_name, settings)
    return standing_clients.StandingClient(
        make(),
        renew=functools.partial(make, keys_required=True),
        read_sources=_read_sources,
        note_refusal=_note_refusal,
        is_refusal=lambda failure: error_answer(failure).code in _CREDENTIAL_CODES,
    )


def _make_client(service: str, region_name: str | None, settings: Any, *, keys_required: bool = False) -> Any:
    """A botocore client. With `keys_required` it raises `errors.Refused` where there are none at this moment."""
    import botocore.exceptions

    try:
        with _session_lock:
            session = _make_session(_read_sources())
            if keys_required and session.get_credentials() is None:
                raise errors.Refused(f"{service}: there are no credentials at this moment")
            made = session.create_client(service, region_name=region_name, config=settings)
            made.meta.events.register("before-call.s3.HeadBucket", _follow_no_redirect)
            return made
    except botocore.exceptions.BotoCoreError as exc:
        raise translate(exc, service) from exc
    except ValueError as exc:
        raise errors.UsageError(f"{service}: {exc}; mend AWS_ENDPOINT_URL") from exc


def _follow_no_redirect(context: dict[str, Any], **_: Any) -> None:
    """Lets botocore's question of where a bucket is, which it asks after a redirect, be the last: it would ask again
    after each further redirect, without end."""
    context.get("s3_redirect", {})["redirected"] = True


def _note_refusal(sources: CredentialSources) -> None:
    """Lets the next client get its keys anew, unless that was done since these sources were read."""
    global _refusals
    with _session_lock:
        if _read_sources() == sources:
            _refusals += 1


@functools.lru_cache(maxsize=1)
def _make_session(_: CredentialSources) -> Any:
    """The session of all clients, made anew once its sources have changed. It takes longer to make than a
    client, and a session that assumes a role would assume it again.
    """
    import botocore.session

    session = botocore.session.Session()
    session.register_component("data_loader", _make_description_loader())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_read_timestamp)
    # Fargate, Lambda and the other SDKs use AWS_REGION; botocore reads AWS_DEFAULT_REGION alone.
    if not os.environ.get("AWS_DEFAULT_REGION") and os.environ.get("AWS_REGION"):
        session.set_config_variable("region", os.environ["AWS_REGION"])
    return session


def _read_timestamp(value: Any) -> datetime:
    """An instant of an answer, in UTC. botocore gives each a time zone of its own, which takes as long as the rest of
    the answer and is kept with it."""
    import botocore.utils

    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return cast(datetime, botocore.utils.parse_timestamp(value)).astimezone(UTC)


def _read_sources() -> CredentialSources:
    names = [name for name in os.environ if name.startswith("AWS_") or name == "HOME"]
    variables = frozenset((name, os.environ[name]) for name in names)
    return variables, tuple(_stamp(path) for path in credential_files()), _refusals


def credential_files() -> tuple[Path, ...]:
    """The files where botocore looks for credentials and settings, whether they exist or not."""
    return tuple(Path(os.path.expanduser(os.environ.get(name, default))) for name, default in _FILES.items())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@functools.cache
def _make_description_loader() -> Any:
    """The loader of botocore's service descriptions, kept: reading one takes longer than most calls."""
    import botocore.loaders

    return botocore.loaders.Loader(file_loader=_Descriptions())


class _Descriptions:
    """Reads a description into plain dicts. botocore's own reader keeps the same order and takes twice as long."""

    def exists(self, path: str) -> bool:
        """Whether there is a description; `path` has no ending."""
        return any(os.path.isfile(path + ending) for ending in (".json.gz", ".json"))

    def load_file(self, path: str) -> Any:
        """The description, None where there is none; `path` has no ending."""
        if os.path.isfile(path + ".json"):
            return json.loads(Path(path + ".json").read_bytes())
        if os.path.isfile(path + ".json.gz"):
            return json.loads(gzip.decompress(Path(path + ".json.gz").read_bytes()))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKeys:
    """The keys in use, without the keys. `expiry` is where their end is written, and the text there, or two empty
    texts."""

    source: str
    temporary: bool
    renewable: bool
    expiry: tuple[str, str]


_EXPIRY_VARIABLE = "AWS_CREDENTIAL_EXPIRATION"
_EXPIRY_KEYS = ("aws_expiration", "x_security_token_expires", "expiration")
"""Where programs that write session keys into the credentials file write their end."""


def describe_keys() -> UsedKeys | None:
    """Where the keys in use come from, and whether botocore renews them; None where there are none. Raises as
    `client`."""
    import botocore.credentials
    import botocore.exceptions

    try:
        with _session_lock:
            session = _make_session(_read_sources())
            keys, profile = session.get_credentials(), session.get_scoped_config()
    except botocore.exceptions.BotoCoreError as exc:
        raise translate(exc, "the AWS credentials") from exc
    if keys is None:
        return None
    from_environment = keys.method == "env"
    if isinstance(keys, botocore.credentials.RefreshableCredentials) and not from_environment:
        return UsedKeys(source=keys.method, temporary=True, renewable=True, expiry=("", ""))
    names = (_EXPIRY_VARIABLE,) if from_environment else _EXPIRY_KEYS
    values = os.environ if from_environment else profile
    expiry = next(((name, str(values[name])) for name in names if values.get(name)), ("", ""))
    temporary = bool(expiry[1]) or bool(keys.token)
    return UsedKeys(source=keys.method, temporary=temporary, renewable=False, expiry=expiry)


def region() -> str:
    """The region calls go to. Raises `errors.UsageError` where none is set, or the settings cannot be used."""
    import botocore.exceptions

    try:
        with _session_lock:
            name = _make_session(_read_sources()).get_config_variable("region")
    except botocore.exceptions.BotoCoreError as exc:
        raise translate(exc, "the AWS region") from exc
    if not name:
        raise errors.UsageError("no AWS region is set; set AWS_REGION")
    return str(name)


_PROMISED = {
    "s3:ListBucket": "IsTruncated",
    "ecs:ListTasks": "taskArns",
    "ecs:DescribeTasks": "tasks",
    "ecs:RunTask": "tasks",
}
"""What AWS's answer always holds, by the action: one without it is no listing, and no answer."""


_LOOK_AT = "look at AWS_ENDPOINT_URL and at proxies"


def call(action: str, operation: Callable[..., Any], /, **parameters: Any) -> Mapping[str, Any]:
    """One call of a client's operation and its answer. `action` is the IAM action, which messages name.

    Raises `Throttled`, `TimedOut` or another `errors.Unavailable` where a repeat may help, `Absent`,
    `errors.Conflict`, `errors.Refused` (denied), or `errors.UsageError` (a parameter is wrong).
    """
    import botocore.exceptions

    try:
        answer: Mapping[str, Any] = operation(**parameters)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as exc:
        raise translate(exc, action) from exc
    if _is_foreign(action, answer):
        kind = "listing" if action.startswith("s3:") else "answer of AWS"
        raise errors.Unavailable(f"{action} was answered with what is no {kind}; {_LOOK_AT}")
    return answer


def _is_foreign(action: str, answer: Mapping[str, Any]) -> bool:
    """Whether an answer is the page of a proxy, or nothing, with status 200: read as AWS's it would be an empty place,
    or a cluster without tasks."""
    return action in _PROMISED and _PROMISED[action] not in answer


def read(action: str, operation: Callable[..., Any], /, **parameters: Any) -> Mapping[str, Any]:
    """`call` for an operation that changes nothing: it is tried `READ_ATTEMPTS` times while no answer comes."""
    attempt = 1
    while True:
        try:
            return call(action, operation, **parameters)
        except errors.Unavailable as exc:
            if attempt == READ_ATTEMPTS or isinstance(exc, Garbled):
                raise
        pause(attempt)
        attempt += 1


def get_whole_object(*, s3: Any, largest_bytes: int | None = None, **parameters: Any) -> Mapping[str, Any]:
    """An operation for `call`: GetObject with its body under `Content`, because a body that is cut is no answer.

    `Content` is None where the object is larger than `largest_bytes`.
    """
    answer = s3.get_object(**parameters)
    with answer["Body"] as body:
        fits = largest_bytes is None or answer["ContentLength"] <= largest_bytes
        return {**answer, "Content": body.read() if fits else None}


def pause(failed: int) -> None:
    """Waits after so many failed attempts: twice as long each time, with jitter."""
    time.sleep(PAUSE_SECONDS * 2 ** (failed - 1) * random.uniform(0.5, 1.5))  # noqa: S311 (a delay, not a key)


def retrying(clock: ports.Clock, give_up_at: datetime, *, timeouts: bool = True) -> tenacity.Retrying:
    """Repeats a call that raises `errors.Unavailable`, with full jitter, and begins no wait that would pass
    `give_up_at`.

    The last error is raised unchanged. The call must be safe to repeat. Without `timeouts` a call that timed out is not
    repeated: it has held up its caller for long enough.
    """
    import tenacity

    def may_succeed(failure: BaseException) -> bool:
        return isinstance(failure, errors.Unavailable) and (timeouts or not isinstance(failure, TimedOut))

    def is_too_late(state: tenacity.RetryCallState) -> bool:
        return instants.later(clock.now(), state.upcoming_sleep) >= give_up_at

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_succeed),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        stop=is_too_late,
        sleep=clock.sleep,
        reraise=True,
    )


def error_answer(failure: BaseException | None) -> ErrorAnswer:
    """AWS's answer behind one of burst's errors or botocore's own."""
    answer = getattr(failure, "response", None)
    if not isinstance(answer, dict):
        cause = None if failure is None else failure.__cause__
        return ErrorAnswer() if cause is None else error_answer(cause)
    error, metadata = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    return ErrorAnswer(
        code=str(error.get("Code", "")),
        message=_make_presentable(str(error.get("Message") or answer.get("message") or "")),
        status=int(metadata.get("HTTPStatusCode") or 0),
        request_id=str(metadata.get("RequestId", "")),
        resources=tuple(str(resource) for resource in answer.get("resourceIds") or ()),
    )


def is_throttling(code: str, message: str) -> bool:
    """Whether an answer asks for fewer calls, by its code or by its words."""
    return code in _THROTTLE_CODES or _THROTTLED.search(message) is not None


def translate(failure: Exception, action: str) -> errors.BurstError:
    """The burst error for a botocore error. Its text names the action, and never a credential."""
    answer = error_answer(failure)
    if answer.code or answer.status:
        return _translate_answer(answer, action)
    return _translate_silence(failure, action)


def _translate_answer(answer: ErrorAnswer, action: str) -> errors.BurstError:
    code, status = answer.code, answer.status
    words = f"{action} was answered {code or status}"
    words += f": {answer.message}" if answer.message else ""
    words += f" (request {answer.request_id})" if answer.request_id else ""
    if is_throttling(code, answer.message):
        return Throttled(words)
    if status >= 500 or status == 429 or code in _PASSING_CODES:
        return errors.Unavailable(words)
    if code in _CREDENTIAL_CODES:
        return errors.Unavailable(
            f"{action} was answered {code}: the credentials are not valid now; renew them, "
            "the next call takes the new ones"
        )
    if code in _SKEW_CODES:
        return errors.Unavailable(f"{action} was answered {code}: this machine's clock is wrong; set it")
    if code in _DENIED_CODES or status == 403:
        return errors.Refused(f"{words}; grant {action} to the role in use")
    if code in _CONFLICT_CODES:
        return errors.Conflict(words)
    if code in _ABSENT_CODES:
        return Absent(words)
    if _is_foreign_error(answer):
        return errors.Unavailable(f"{action} was answered with what is no answer of AWS: status {status}; {_LOOK_AT}")
    if status in _REDIRECTS:
        return errors.UsageError(f"{words}; look at AWS_REGION, which has to be the bucket's, and AWS_ENDPOINT_URL")
    return errors.UsageError(words)


def _is_foreign_error(answer: ErrorAnswer) -> bool:
    """Whether a proxy answered, and not AWS: it gives no code of AWS's, and sends elsewhere or asks who is there."""
    no_code = answer.code in ("", str(answer.status))
    return no_code and (answer.status in _REDIRECTS or answer.status == _PROXY_ASKS)


def _translate_silence(failure: Exception, action: str) -> errors.BurstError:
    from botocore import exceptions as foreign

    words = f"{action}: {_make_presentable(str(failure))}"
    if isinstance(failure, foreign.ParamValidationError):
        return errors.UsageError(words)
    if isinstance(failure, foreign.ConnectTimeoutError | foreign.ReadTimeoutError):
        return TimedOut(words)
    if isinstance(failure, foreign.FlexibleChecksumError | foreign.ChecksumError):
        return Garbled(words)
    if isinstance(failure, foreign.NoCredentialsError | foreign.PartialCredentialsError):
        return errors.Refused(f"{words}; set up credentials (a role, a profile, or AWS_ACCESS_KEY_ID and its secret)")
    if isinstance(failure, foreign.NoRegionError):
        return errors.UsageError(f"{words}; set AWS_REGION")
    if isinstance(failure, foreign.ProfileNotFound):
        return errors.UsageError(f"{words}; {_profile_allowed()}")
    if isinstance(failure, foreign.ConfigNotFound | foreign.ConfigParseError):
        return errors.UsageError(f"{words}; mend that file, or let AWS_CONFIG_FILE name another one")
    return errors.Unavailable(words)  # connection, TLS, credential service, a cut answer: the next call may succeed


def _profile_allowed() -> str:
    """How to mend a profile that does not exist."""
    import botocore.session

    profiles = ", ".join(sorted(botocore.session.Session().available_profiles)) or "none"
    file_names = " and ".join(str(path) for path in credential_files())
    return f"set AWS_PROFILE to one of {file_names} ({profiles}), or unset it"


def _make_presentable(message: str) -> str:
    """One line without key ids, user information or parameter values, `LONGEST_MESSAGE` characters at most."""
    message = _VALUE.sub("value hidden, type:", _USERINFO.sub("://***@", _KEY_ID.sub("***", message)))
    return " ".join(message.split())[:LONGEST_MESSAGE]
