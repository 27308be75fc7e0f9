"""The front: the one address of the simulated AWS, where every call is recorded and every fault of a service strikes.

ECS is answered here, and of some services what moto does not know; everything else by moto, which runs behind it as a
process of its own. Under `/_rehearsal/` it answers the rehearsal itself: faults, calls, containers. One thread a
connection, because a call that hangs has to hang.
"""

import contextlib
import email.utils
import http.client
import http.server
import json
import logging
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax import saxutils

from burst.rehearsal import armed_faults, aws_requests, ecs_api, permissions

_LOG = logging.getLogger(__name__)

CONTROL = "/_rehearsal/"
METADATA = "/_rehearsal/v4/"

_SILENCED = ("ecs", "sts", "s3")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "date", "server", "content-length"}
_BACKEND_SECONDS = 60.0
_JSON = "application/x-amz-json-1.1"

_CODE = re.compile(rb'(?:<Code>|"__type": ?"(?:[^"#]*#)?)(\w+)', re.ASCII)

OK, LOST = "ok", "response-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One recorded call; `at` is when it came.

    `outcome` is `ok`, the error's code, `response-lost`, or the name of the fault that met it. `needs` is what IAM
    would have been asked for it, as `permissions.Need` has it.
    """

    service: str
    operation: str
    caller: str
    principal: str
    at: str
    seconds: float
    status: int | None
    outcome: str
    needs: Sequence[Mapping[str, Any]]


class NoAnswer(Exception):
    """The connection is to be reset without an answer."""


class Endpoint:
    """What happens to a request between the socket and the service it is for.

    `before_moto` answers, by service, what moto does not know; None passes the request on.
    """

    def __init__(
        self,
        *,
        faults: armed_faults.ArmedFaults,
        interface: ecs_api.EcsApi,
        backend: Callable[[], tuple[str, int]],
        scheduler: "Callable[[aws_requests.HttpRequest, str, Callable[[], HttpAnswer]], HttpAnswer]",
        control: Callable[[aws_requests.HttpRequest], HttpAnswer],
        before_moto: "Mapping[str, Callable[[aws_requests.HttpRequest, str], HttpAnswer | None]]",
    ) -> None:
        self._faults = faults
        self._interface = interface
        self._backend = backend
        self._scheduler = scheduler
        self._control = control
        self._before_moto = before_moto
        self._calls: list[RecordedCall] = []

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far, in the order they were finished."""
        return [asdict(call) for call in self._calls]

    def answer(self, request: aws_requests.HttpRequest) -> HttpAnswer:
        """The answer to a request; raises `NoAnswer` where there is to be none."""
        if request.path.startswith(CONTROL):
            return self._control(request)
        asked = aws_requests.recognise_call(request)
        began = time.monotonic()
        answer: HttpAnswer | None = None
        outcome = OK
        try:
            fault = self.silenced_by(asked.service, asked.caller)
            if fault is not None:
                outcome = fault
                answer = self._silence(asked, fault)
            else:
                answer = self._served(asked, request)
                outcome = _outcome(answer)
                if answer.status < 300 and self._loses_answer(asked):
                    outcome = LOST
                    raise NoAnswer
        finally:
            self._record(asked, began, answer, outcome, permissions.read_needs(asked, request))
        return answer

    def invoke(self, operation: str, body: Mapping[str, Any]) -> None:
        """An ECS call by AWS's own scheduler, under the same faults. Raises `ecs.RefusedError`."""
        asked = aws_requests.AwsCall(service="ecs", operation=operation, caller="scheduler", principal="scheduler")
        began = time.monotonic()
        outcome = OK
        try:
            fault = self.silenced_by("ecs", asked.caller)
            if fault is not None:
                outcome = fault
                raise ecs_api.RefusedError("ServiceUnavailable", fault, status=503)
            self._interface.call(operation, body)
        except ecs_api.RefusedError as exc:
            outcome = exc.code if outcome == OK else outcome
            raise
        finally:
            self._record(asked, began, None, outcome, permissions.read_ecs_needs(operation, body))

    def silenced_by(self, service: str, caller: str) -> str | None:
        """The fault that keeps this service from answering this caller, None where none does."""
        labels = [f"{service}-down"] if service in _SILENCED else []
        for label in (*labels, "all-aws-down"):
            options = self._faults.active(label)
            if options is not None and options.callers in (armed_faults.EVERYONE, caller):
                return label
        return None

    def _loses_answer(self, asked: aws_requests.AwsCall) -> bool:
        label = f"{LOST}:{asked.operation}"
        options = self._faults.active(label)
        return (
            options is not None
            and options.callers in (armed_faults.EVERYONE, asked.caller)
            and self._faults.strike(label)
        )

    def _silence(self, asked: aws_requests.AwsCall, fault: str) -> HttpAnswer:
        options = self._faults.active(fault) or armed_faults.FaultOptions(manner=armed_faults.RESET)
        if options.manner == armed_faults.REFUSE:
            return error_answer(asked.service, 503, "ServiceUnavailable", "The service is unavailable.")
        if options.manner == armed_faults.HANG:
            self._faults.wait_while(fault, options.hang_seconds)
        raise NoAnswer

    def _served(self, asked: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> HttpAnswer:
        """The service's answer. What the simulation cannot do is no silence, which would pass for a network's fault."""
        try:
            return self._serve(asked, request)
        except OSError as exc:
            return error_answer(asked.service, 502, "BadGateway", f"moto did not answer: {exc}")
        except Exception:
            _LOG.exception("%s:%s", asked.service, asked.operation)
            return error_answer(
                asked.service, 500, "InternalFailure", "the simulation failed; its rehearsal.log says how"
            )

    def _serve(self, asked: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> HttpAnswer:
        if asked.service == "ecs":
            return self._ecs(asked, request)
        if asked.service == "scheduler":
            return self._scheduler(request, asked.operation, lambda: self._forward(request))
        known = self._before_moto.get(asked.service)
        answer = None if known is None else known(request, asked.operation)
        return self._forward(request) if answer is None else answer

    def _ecs(self, asked: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> HttpAnswer:
        try:
            document: dict[str, Any] = self._interface.call(asked.operation, json.loads(request.body or b"{}"))
            status = 200
        except ecs_api.RefusedError as exc:
            document, status = exc.body, exc.status
        return HttpAnswer(status=status, body=json.dumps(document).encode(), headers=(("Content-Type", _JSON),))

    def _forward(self, request: aws_requests.HttpRequest) -> HttpAnswer:
        # A connection for each call: one kept open might be closed by moto just as the next call is written to it.
        connection = http.client.HTTPConnection(*self._backend(), timeout=_BACKEND_SECONDS)
        with contextlib.closing(connection):
            headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
            if request.body or request.method in ("POST", "PUT"):
                headers["content-length"] = str(len(request.body))
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(request.body or None)
            response = connection.getresponse()
            body = response.read()
            kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP)
            if request.method == "HEAD":
                kept = (*kept, ("Content-Length", response.getheader("Content-Length") or "0"))
            return HttpAnswer(status=response.status, body=body, headers=kept)

    def _record(
        self,
        asked: aws_requests.AwsCall,
        began: float,
        answer: HttpAnswer | None,
        outcome: str,
        needs: Sequence[permissions.Need],
    ) -> None:
        seconds = time.monotonic() - began
        self._calls.append(
            RecordedCall(
                service=asked.service,
                operation=asked.operation,
                caller=asked.caller,
                principal=asked.principal,
                at=datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(),
                seconds=round(seconds, 6),
                status=None if answer is None else answer.status,
                outcome=outcome,
                needs=[asdict(need) for need in needs],
            )
        )


def error_answer(service: str, status: int, code: str, message: str) -> HttpAnswer:
    """An error answer as the service words it: XML for S3 and STS, JSON for the others."""
    if service in ("s3", "sts"):
        error = f"<Error><Code>{code}</Code><Message>{saxutils.escape(message)}</Message></Error>"
        text = error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
        return HttpAnswer(status=status, body=text.encode(), headers=(("Content-Type", "application/xml"),))
    document = json.dumps({"__type": code, "message": message, "Message": message})
    return HttpAnswer(
        status=status, body=document.encode(), headers=(("Content-Type", _JSON), ("x-amzn-ErrorType", code))
    )


def _outcome(answer: HttpAnswer) -> str:
    """`ok`, or the error's code in JSON or XML, or its status where it says none."""
    if answer.status < 400:
        return OK
    code = _CODE.search(answer.body)
    return code[1].decode() if code else str(answer.status)


class EndpointServer(http.server.ThreadingHTTPServer):
    """The listening socket."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, front: Endpoint, now: Callable[[], datetime]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.front = front
        self.now = now

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self.server_address[1])

    def serve_in_background(self) -> None:
        """Answers from now on, until the process ends."""
        threading.Thread(target=self.serve_forever, name="front", daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news; everything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            _LOG.exception("a connection from %s", client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one write
    server: EndpointServer

    def handle_expect_100(self) -> bool:
        """Answers `100 Continue` at once: left in the buffer, it makes every S3 PUT wait a second for it."""
        answered = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def _handle(self) -> None:
        request = aws_requests.HttpRequest(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )
        try:
            answer = self.server.front.answer(request)
        except NoAnswer:
            self._reset()
            return
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815 - names of http.server

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, answer: HttpAnswer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", email.utils.format_datetime(self.server.now(), usegmt=True))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *arguments: object) -> None:
        """The record of calls says it all."""
