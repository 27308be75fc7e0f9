"""Every answer of AWS, and every lost one, becomes one of burst's errors, and none shows a credential."""

import http.server
import json
import os
import socket
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as foreign

from burst.domain.basics import errors, instants
from burst.kit import aws
from tests import fakes, fixtures_aws, loopback_server

KEY_ID = "AKIAIOSFODNN7EXAMPLE"


def error_of(code: str, status: int = 400, message: str = "as it is") -> foreign.ClientError:
    return foreign.ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
        },
        "RunTask",
    )


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (error_of("ThrottlingException"), aws.Throttled),
        (error_of("SlowDown", 503), aws.Throttled),
        (error_of("InvalidParameterException", 400, "Rate exceeded (ErrorCode: Throttling)"), aws.Throttled),
        (error_of("ServerException", 500), errors.Unavailable),
        (error_of("Whatever", 502), errors.Unavailable),
        (error_of("ConditionalRequestConflict", 409), errors.Unavailable),
        (error_of("ExpiredTokenException", 400), errors.Unavailable),
        (error_of("RequestTimeTooSkewed", 403), errors.Unavailable),
        (error_of("AccessDeniedException", 400), errors.Refused),
        (error_of("403", 403), errors.Refused),
        (error_of("PreconditionFailed", 412), errors.Conflict),
        (error_of("ConflictException", 409), errors.Conflict),
        (error_of("NoSuchKey", 404), aws.Absent),
        (error_of("InvalidParameterException", 400), errors.UsageError),
        (error_of("ClusterNotFoundException", 400), errors.UsageError),
        (foreign.ReadTimeoutError(endpoint_url="http://x"), aws.TimedOut),
        (foreign.ConnectTimeoutError(endpoint_url="http://x"), aws.TimedOut),
        (foreign.EndpointConnectionError(endpoint_url="http://x"), errors.Unavailable),
        (foreign.ConnectionClosedError(endpoint_url="http://x"), errors.Unavailable),
        (foreign.CredentialRetrievalError(provider="sts", error_msg="no answer"), errors.Unavailable),
        (foreign.NoCredentialsError(), errors.Refused),
        (foreign.NoRegionError(), errors.UsageError),
        (foreign.ParamValidationError(report="Invalid type"), errors.UsageError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:60],
)
def test_each_failure_becomes_the_error_that_says_what_may_be_done(
    failure: Exception, expected: type[errors.BurstError]
) -> None:
    translated = aws.translate(failure, "ecs:RunTask")

    assert type(translated) is expected
    assert "ecs:RunTask" in str(translated)


def test_a_denied_call_says_what_to_grant() -> None:
    denied = aws.translate(error_of("AccessDeniedException", 400, "User x is not authorized"), "ecs:StopTask")

    assert str(denied).endswith("User x is not authorized (request r-1); grant ecs:StopTask to the role in use")


@pytest.mark.parametrize(
    ("failure", "hidden"),
    [
        (error_of("Other", 400, f"the key {KEY_ID} is odd"), KEY_ID),
        (error_of("SignatureDoesNotMatch", 403, f"the canonical string was {KEY_ID} ..."), KEY_ID),
        (foreign.ProxyConnectionError(proxy_url="http://me:hunter2@proxy", error="x"), "hunter2"),
        (
            foreign.ParamValidationError(report="Invalid type for environment[0].value, value: hunter2, type: <int>"),
            "hunter2",
        ),
    ],
    ids=["key id", "signature", "proxy", "value"],
)
def test_no_message_shows_a_credential_or_a_value(failure: Exception, hidden: str) -> None:
    assert hidden not in str(aws.translate(failure, "ecs:RunTask"))


def test_a_message_is_one_short_line() -> None:
    assert len(str(aws.translate(error_of("Other", 400, "line\n" * 1000), "ecs:RunTask"))) < 500


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (error_of("SlowDown", 503), aws.READ_ATTEMPTS),
        (foreign.ReadTimeoutError(endpoint_url="http://x"), aws.READ_ATTEMPTS),
        (foreign.FlexibleChecksumError(error_msg="differs"), 1),
        (error_of("AccessDenied", 403), 1),
        (error_of("NoSuchKey", 404), 1),
    ],
    ids=["throttled", "timeout", "checksum", "denied", "absent"],
)
def test_reading_is_done_again_only_where_no_answer_came(
    failure: Exception, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)
    calls: list[object] = []

    def operation(**parameters: object) -> Mapping[str, Any]:
        calls.append(parameters)
        raise failure

    with pytest.raises(errors.BurstError):
        aws.read("s3:ListBucket", operation, Bucket="evidence")

    assert calls == [{"Bucket": "evidence"}] * times


def test_retries_stop_before_the_give_up_time_and_the_last_error_comes_out_as_it_is() -> None:
    clock, calls = fakes.TickingClock(), list[object]()
    give_up_at = instants.later(clock.now(), 30)

    def refuse() -> None:
        calls.append(clock.now())
        raise aws.Throttled(f"call {len(calls)}")

    with pytest.raises(aws.Throttled, match=r"call \d+") as caught:
        aws.retrying(clock, give_up_at)(refuse)

    assert clock.now() < give_up_at
    assert len(calls) > 5
    assert str(caught.value) == f"call {len(calls)}"


@pytest.mark.parametrize("error", [errors.Refused("no"), errors.UsageError("no"), errors.Conflict("no")], ids=repr)
def test_a_failure_that_a_repeat_cannot_mend_is_not_repeated(error: errors.BurstError) -> None:
    clock, calls = fakes.TickingClock(), list[int]()

    def refuse() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        aws.retrying(clock, instants.later(clock.now(), 30))(refuse)
    assert len(calls) == 1


class Answers(http.server.ThreadingHTTPServer):
    """A service on loopback that answers every request alike and counts them."""

    status = 200
    fields: Mapping[str, Any] | None = types.MappingProxyType({"taskArns": []})
    page: bytes | None = None
    """The page of a proxy, in place of the fields."""
    requests = 0
    refused_key = ""
    """The key id whose requests are refused."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.keys: list[str] = []
        """The key id of each request."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.requests += 1
        key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        self.server.keys.append(key)
        if self.server.fields is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        is_refused = key == self.server.refused_key
        fields = {"__type": "ExpiredTokenException"} if is_refused else dict(self.server.fields)
        page = self.server.page
        content = json.dumps(fields).encode() if page is None else page
        self.send_response(400 if is_refused else self.server.status)
        self.send_header("Content-Type", "application/x-amz-json-1.1" if page is None else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    with loopback_server.run(Answers(("127.0.0.1", 0), _Handler)) as server:
        for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
            monkeypatch.delenv(name)  # a session's own simulated AWS
        monkeypatch.setenv("AWS_ENDPOINT_URL", loopback_server.find_url(server))
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        yield server


def test_a_call_gives_the_answer(answers: Answers) -> None:
    answers.fields = {"taskArns": ["a"]}

    answer = aws.call("ecs:ListTasks", aws.client("ecs").list_tasks)

    assert answer["taskArns"] == ["a"]


def test_a_failed_call_is_not_repeated_behind_our_back(answers: Answers) -> None:
    answers.status, answers.fields = 500, {"__type": "ServerException", "message": "down"}

    with pytest.raises(errors.Unavailable, match="down"):
        aws.call("ecs:ListTasks", aws.client("ecs").list_tasks)

    assert answers.requests == 1


@pytest.mark.parametrize("page", [None, b"<html>sign in</html>", b""], ids=["no field", "a page", "an empty page"])
@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("ecs:ListTasks", {}),
        ("ecs:DescribeTasks", {"tasks": ["a"]}),
        ("ecs:RunTask", {"taskDefinition": "burst-task:12"}),
    ],
)
def test_an_answer_without_tasks_that_nobody_of_aws_gave_is_no_cluster_without_tasks(
    answers: Answers, action: str, parameters: dict[str, Any], page: bytes | None
) -> None:
    answers.fields, answers.page = {}, page
    client = aws.client("ecs")
    operations = {
        "ecs:ListTasks": client.list_tasks,
        "ecs:DescribeTasks": client.describe_tasks,
        "ecs:RunTask": client.run_task,
    }

    with pytest.raises(errors.Unavailable, match=f"{action} was answered with what is no answer of AWS"):
        aws.call(action, operations[action], **parameters)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 407])
@pytest.mark.parametrize("action", ["ecs:ListTasks", "s3:ListBucket", "s3:GetObject", "s3:HeadObject"])
def test_what_a_proxy_answers_in_place_of_aws_is_no_answer_of_aws_and_is_followed_nowhere(
    answers: Answers, action: str, status: int
) -> None:
    answers.status, answers.page = status, b"<html>sign in</html>"
    s3 = aws.client("s3")
    operations: dict[str, Callable[[], Any]] = {
        "ecs:ListTasks": aws.client("ecs").list_tasks,
        "s3:ListBucket": lambda: s3.list_objects_v2(Bucket="evidence"),
        "s3:GetObject": lambda: s3.get_object(Bucket="evidence", Key="k"),
        "s3:HeadObject": lambda: s3.head_object(Bucket="evidence", Key="k"),
    }

    with pytest.raises(errors.Unavailable, match=f"{action} was answered with what is no .*: status {status}; look at"):
        aws.call(action, operations[action])
    assert answers.requests <= 2, "one more asks where the bucket is"


def test_a_redirect_of_s3_names_what_s3_said_and_what_to_mend(answers: Answers) -> None:
    answers.status = 301
    answers.page = b"<Error><Code>PermanentRedirect</Code><Message>use the other one</Message></Error>"

    with pytest.raises(errors.UsageError, match="PermanentRedirect: use the other one; look at AWS_REGION"):
        aws.call("s3:GetObject", aws.client("s3").get_object, Bucket="evidence", Key="k")


def test_a_lost_answer_is_unavailable(answers: Answers) -> None:
    answers.fields = None

    with pytest.raises(errors.Unavailable, match="ecs:ListTasks"):
        aws.call("ecs:ListTasks", aws.client("ecs").list_tasks)
    assert answers.requests == 1


def test_a_service_that_is_silent_times_out(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(aws.TimedOut):
            aws.call("ecs:ListTasks", aws.client("ecs", read_seconds=0.2).list_tasks)


def test_a_conflict_names_what_stands_there(answers: Answers) -> None:
    answers.status, answers.fields = 400, {"__type": "ConflictException", "resourceIds": ["arn:1", "arn:2"]}

    with pytest.raises(errors.Conflict) as caught:
        aws.call("ecs:RunTask", aws.client("ecs").run_task, taskDefinition="t:1")

    assert aws.error_answer(caught.value).resources == ("arn:1", "arn:2")


def test_without_a_region_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    with pytest.raises(errors.UsageError, match="AWS_REGION"):
        aws.client("ecs")


def test_the_simulated_aws_of_a_session_is_not_in_the_environment(simulated_aws: fixtures_aws.Shared) -> None:
    assert simulated_aws.world.environment["AWS_ENDPOINT_URL"] not in os.environ.values()


@pytest.mark.parametrize("ask", [aws.region, lambda: aws.client("ecs")], ids=["the region", "a client"])
def test_a_profile_that_is_not_there_is_told_with_those_that_are_and_where(
    ask: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "config"
    settings.write_text("[profile dev]\nregion = eu-west-2\n[profile pilot]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_PROFILE", "nope")

    with pytest.raises(errors.UsageError) as refused:
        ask()

    assert "profile (nope)" in str(refused.value)
    assert f"set AWS_PROFILE to one of {os.devnull} and {settings} (dev, pilot), or unset it" in str(refused.value)


def test_settings_that_cannot_be_read_are_told_by_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[profile dev\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    with pytest.raises(errors.UsageError, match=r"config; mend that file, or let AWS_CONFIG_FILE name another one"):
        aws.region()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AWS_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
    ],
    ids=["fargate", "boto", "both"],
)
def test_a_region_is_taken_from_either_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert aws.client("ecs").meta.region_name == expected


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of credentials, the only source of any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


def key_id(client: Any) -> str:
    return str(client._get_credentials().access_key)


@pytest.mark.parametrize(
    ("lines", "temporary", "expiry"),
    [
        ("", False, ("", "")),
        ("aws_session_token=t\n", True, ("", "")),
        ("aws_session_token=t\nx_security_token_expires=2026-02-21T03:00:00Z\n", True,
         ("x_security_token_expires", "2026-02-21T03:00:00Z")),
    ],
)  # fmt: skip
def test_keys_of_a_file_are_not_renewed_and_end_where_the_file_says(
    credentials: Path, lines: str, temporary: bool, expiry: tuple[str, str]
) -> None:
    credentials.write_text(f"[default]\naws_access_key_id={KEY_ID}\naws_secret_access_key=made-up\n{lines}")

    keys = aws.describe_keys()

    assert keys == aws.UsedKeys(source="shared-credentials-file", temporary=temporary, renewable=False, expiry=expiry)


def test_a_role_of_a_profile_renews_its_keys(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    role = "role_arn=arn:aws:iam::123456789012:role/burst\nsource_profile=user\n"
    user = f"[user]\naws_access_key_id={KEY_ID}\naws_secret_access_key=made-up\n"
    credentials.write_text(f"[default]\n{role}{user}")

    keys = aws.describe_keys()

    assert keys is not None
    assert (keys.source, keys.renewable) == ("assume-role", True)


def test_many_clients_made_at_once_ask_for_their_credentials_once(credentials: Path) -> None:
    requests = credentials.with_name("asked")
    answer = json.dumps({"Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": "made-up"})
    script = f"echo once >> {requests}; echo '{answer}'"
    program = credentials.with_name("program")
    program.write_text(script)
    credentials.write_text(f"[default]\ncredential_process = /bin/sh {program}\n")

    with futures.ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(aws.client, ["sts", "logs", "scheduler", "sts"] * 2))

    assert {key_id(client) for client in clients} == {KEY_ID}
    assert requests.read_text() == "once\n"


def test_credentials_that_were_renewed_are_those_of_the_next_client(credentials: Path) -> None:
    before, after = KEY_ID, KEY_ID.replace("EXAMPLE", "RENEWED2")
    written = "[default]\naws_access_key_id = {}\naws_secret_access_key = made-up\n"
    credentials.write_text(written.format(before))
    first = aws.client("sts")
    credentials.write_text(written.format(after))

    assert [key_id(first), key_id(aws.client("sts"))] == [before, after]


def _write_keys(credentials: Path, key: str) -> None:
    credentials.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = made-up\n")


OLD_KEY, NEW_KEY = KEY_ID, KEY_ID.replace("EXAMPLE", "RENEWED2")


def _list_tasks(standing: Any) -> None:
    aws.call("ecs:ListTasks", standing.list_tasks)


def test_a_standing_client_takes_the_new_keys_at_the_first_call_after_they_were_written(
    answers: Answers, credentials: Path
) -> None:
    _write_keys(credentials, OLD_KEY)
    standing, answers.refused_key = aws.client("ecs"), OLD_KEY
    for _ in range(3):
        with pytest.raises(errors.Unavailable, match="not valid now; renew them"):
            _list_tasks(standing)

    _write_keys(credentials, NEW_KEY)
    _list_tasks(standing)
    _list_tasks(standing)

    assert answers.keys == [*[OLD_KEY] * 3, NEW_KEY, NEW_KEY]


def test_a_call_that_is_refused_after_the_keys_were_renewed_is_repeated_with_the_new_ones(
    answers: Answers, credentials: Path
) -> None:
    _write_keys(credentials, OLD_KEY)
    standing, answers.refused_key = aws.client("ecs"), OLD_KEY
    _write_keys(credentials, NEW_KEY)

    _list_tasks(standing)

    assert answers.keys == [OLD_KEY, NEW_KEY]


def test_keys_that_come_from_a_program_are_asked_for_anew_once_they_are_refused(
    answers: Answers, credentials: Path
) -> None:
    key = credentials.with_name("key")
    answer = f'{{"Version": 1, "AccessKeyId": "$(cat {key})", "SecretAccessKey": "made-up"}}'
    program = credentials.with_name("program")
    program.write_text(f"cat <<END\n{answer}\nEND\n")
    credentials.write_text(f"[default]\ncredential_process = /bin/sh {program}\n")
    key.write_text(OLD_KEY)
    standing, answers.refused_key = aws.client("ecs"), OLD_KEY
    with pytest.raises(errors.Unavailable):
        _list_tasks(standing)

    key.write_text(NEW_KEY)
    _list_tasks(standing)

    assert answers.keys == [OLD_KEY, NEW_KEY]


def test_keys_that_vanish_after_they_were_refused_leave_the_refusal_as_the_answer(
    answers: Answers, credentials: Path
) -> None:
    _write_keys(credentials, OLD_KEY)
    standing, answers.refused_key = aws.client("ecs"), OLD_KEY
    with pytest.raises(errors.Unavailable):
        _list_tasks(standing)
    credentials.unlink()

    with pytest.raises(errors.Unavailable, match="not valid now"):
        _list_tasks(standing)


def test_every_instant_of_an_answer_is_in_utc_however_the_service_writes_it(cloud: fixtures_aws.Cloud) -> None:
    task = cloud.start_task(cloud.register(fixtures_aws.container()), cluster=fixtures_aws.CLUSTER)
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=cloud.name, Body=b"")

    (described,) = cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=[task])["tasks"]
    listed = cloud.s3.list_objects_v2(Bucket=fixtures_aws.BUCKET, Prefix=cloud.name)["Contents"][0]
    read = cloud.s3.head_object(Bucket=fixtures_aws.BUCKET, Key=cloud.name)
    cloud.ecs.stop_task(cluster=fixtures_aws.CLUSTER, task=task)

    moments = [described["createdAt"], listed["LastModified"], read["LastModified"]]  # a number, ISO 8601, an HTTP date
    assert [moment.tzinfo for moment in moments] == [UTC, UTC, UTC]
    assert max(abs((moment - datetime.now(UTC)).total_seconds()) for moment in moments) < 60
