"""The endpoint: the one address of the simulated AWS. It records every call and makes service faults strike.

It answers ECS calls, and calls to other services where moto falls short. It passes the rest to moto, which runs behind
it as a process of its own. Paths below `/_rehearsal/` belong to the rehearsal's own interface.
"""

import contextlib
import http.client
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from burst.rehearsal import armed_faults, aws_requests, ecs_api, ecs_refusals, permissions

_LOG = logging.getLogger(__name__)

REHEARSAL_PATH = "/_rehearsal/"
METADATA_PATH = "/_rehearsal/v4/"

OK, LOST = "ok", "response-lost"

_SERVICES_WITH_OUTAGES = ("ecs", "sts", "s3")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "date", "server", "content-length"}
_CONDITIONS = {"if-match", "if-none-match"}
_MOTO_SECONDS = 60.0

_ERROR_CODE = re.compile(rb'(?:<Code>|"__type": ?"(?:[^"#]*#)?)(\w+)', re.ASCII)

Forward = Callable[[], aws_requests.HttpAnswer]
"""Passes the current request to moto and returns moto's answer."""
AnswerBeforeMoto = Callable[[aws_requests.HttpRequest, str], aws_requests.HttpAnswer | None]
"""Answers a request for the given operation, or returns None for moto to answer it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One recorded call. `at` is the time it arrived.

    `outcome` is `ok`, the error's code, `response-lost`, or the name of the outage that the call met. `needs` are the
    permissions IAM would have checked for it, as `permissions.Need` has them.
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
    """The caller gets no answer: the connection is reset."""


class Endpoint:
    """Takes each request from the socket to the service it is for, and its answer back.

    `before_moto` holds, by service, the functions that answer requests that moto cannot answer.
    """

    def __init__(
        self,
        *,
        faults: armed_faults.ArmedFaults,
        ecs: ecs_api.EcsApi,
        moto_address: Callable[[], tuple[str, int]],
        scheduler: Callable[[aws_requests.HttpRequest, str, Forward], aws_requests.HttpAnswer],
        rehearsal: Callable[[aws_requests.HttpRequest], aws_requests.HttpAnswer],
        before_moto: Mapping[str, AnswerBeforeMoto],
    ) -> None:
        self._faults = faults
        self._ecs = ecs
        self._moto_address = moto_address
        self._scheduler = scheduler
        self._rehearsal = rehearsal
        self._before_moto = before_moto
        self._calls: list[RecordedCall] = []
        self._conditional_write = threading.Lock()

    def calls(self) -> list[dict[str, Any]]:
        """Every finished call, in the order they finished."""
        return [asdict(call) for call in self._calls]

    def answer(self, request: aws_requests.HttpRequest) -> aws_requests.HttpAnswer:
        """The answer to a request. Raises `NoAnswer` if a fault withholds it."""
        if request.path.startswith(REHEARSAL_PATH):
            if request.path.startswith(METADATA_PATH):
                self._delay_metadata()
            return self._rehearsal(request)
        call = aws_requests.recognise_call(request)
        needs = permissions.read_needs(call, request)
        began = time.monotonic()
        answer: aws_requests.HttpAnswer | None = None
        outcome = OK
        try:
            outage = self.find_outage(call.service, call.caller)
            if outage is not None:
                outcome = outage
                answer = self._answer_in_outage(call, outage)
            else:
                answer = self._find_denial(call, needs) or self._answer_or_report_failure(call, request)
                outcome = _read_outcome(answer)
                if answer.status < 300 and self._loses_answer(call):
                    outcome = LOST
                    raise NoAnswer
        finally:
            self._record(call, began, answer, outcome, needs)
        return answer

    def invoke_ecs(self, operation: str, body: Mapping[str, Any]) -> None:
        """Makes an ECS call for AWS's scheduler, under the same faults. Raises `ecs_refusals.RefusedError`."""
        call = aws_requests.AwsCall(service="ecs", operation=operation, caller="scheduler", principal="scheduler")
        needs = permissions.read_ecs_needs(operation, body)
        began = time.monotonic()
        outcome = OK
        try:
            outage = self.find_outage("ecs", call.caller)
            if outage is not None:
                outcome = outage
                raise ecs_refusals.RefusedError("ServiceUnavailable", outage, status=503)
            if self._find_denial(call, needs) is not None:
                raise ecs_refusals.RefusedError("AccessDeniedException", "IAM denies this action.")
            self._ecs.call(operation, body)
        except ecs_refusals.RefusedError as exc:
            outcome = exc.code if outcome == OK else outcome
            raise
        finally:
            self._record(call, began, None, outcome, needs)

    def find_outage(self, service: str, caller: str) -> str | None:
        """The fault in force that keeps this service from answering this caller, or None."""
        labels = [f"{service}-down"] if service in _SERVICES_WITH_OUTAGES else []
        for label in (*labels, "all-aws-down"):
            options = self._faults.active(label)
            if options is not None and options.callers in (armed_faults.EVERYONE, caller):
                return label
        return None

    def _find_denial(
        self, call: aws_requests.AwsCall, needs: Sequence[permissions.Need]
    ) -> aws_requests.HttpAnswer | None:
        """IAM's refusal of a call that needs an action which the fault `denied` denies, or None."""
        for need in needs:
            options = self._faults.active(f"denied:{need.action}")
            if options is not None and options.callers in (armed_faults.EVERYONE, call.caller):
                message = (
                    f"User: {call.principal} is not authorized to perform: {need.action} on resource: {need.resource} "
                    f"because no identity-based policy allows the {need.action} action"
                )
                return aws_requests.denial_answer(call.service, message)
        return None

    def _delay_metadata(self) -> None:
        for fault in self._faults.in_force("metadata-slow"):
            self._faults.wait_while(fault.label, fault.seconds)

    def _loses_answer(self, call: aws_requests.AwsCall) -> bool:
        label = f"{LOST}:{call.operation}"
        options = self._faults.active(label)
        return (
            options is not None
            and options.callers in (armed_faults.EVERYONE, call.caller)
            and self._faults.strike(label)
        )

    def _answer_in_outage(self, call: aws_requests.AwsCall, outage: str) -> aws_requests.HttpAnswer:
        options = self._faults.active(outage) or armed_faults.FaultOptions(manner=armed_faults.RESET)
        if options.manner == armed_faults.REFUSE:
            return aws_requests.error_answer(call.service, 503, "ServiceUnavailable", "The service is unavailable.")
        if options.manner == armed_faults.HANG:
            self._faults.wait_while(outage, options.hang_seconds)
        raise NoAnswer

    def _answer_or_report_failure(
        self, call: aws_requests.AwsCall, request: aws_requests.HttpRequest
    ) -> aws_requests.HttpAnswer:
        """The service's answer. A failure of the simulation gets an error answer, since a reset looks like a fault."""
        try:
            return self._answer_for_service(call, request)
        except OSError as exc:
            return aws_requests.error_answer(call.service, 502, "BadGateway", f"moto did not answer: {exc}")
        except Exception:
            _LOG.exception("%s:%s", call.service, call.operation)
            return aws_requests.error_answer(
                call.service, 500, "InternalFailure", "the simulation failed; its rehearsal.log says how"
            )

    def _answer_for_service(
        self, call: aws_requests.AwsCall, request: aws_requests.HttpRequest
    ) -> aws_requests.HttpAnswer:
        if call.service == "ecs":
            return self._answer_ecs(call, request)
        if call.service == "scheduler":
            return self._scheduler(request, call.operation, lambda: self._forward(request))
        answer_before_moto = self._before_moto.get(call.service)
        answer = None if answer_before_moto is None else answer_before_moto(request, call.operation)
        if answer is not None:
            return answer
        if not _CONDITIONS.intersection(request.headers):
            return self._forward(request)
        with self._conditional_write:  # moto looks first and writes then, and S3 does both at once
            return self._forward(request)

    def _answer_ecs(self, call: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> aws_requests.HttpAnswer:
        try:
            document = self._ecs.call(call.operation, json.loads(request.body or b"{}"))
        except ecs_refusals.RefusedError as exc:
            return aws_requests.json_answer(exc.body, status=exc.status)
        return aws_requests.json_answer(document)

    def _forward(self, request: aws_requests.HttpRequest) -> aws_requests.HttpAnswer:
        # Each call opens a connection: moto could close a kept one just as the next call is written to it.
        connection = http.client.HTTPConnection(*self._moto_address(), timeout=_MOTO_SECONDS)
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
            passed_on = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP)
            if request.method == "HEAD":
                passed_on = (*passed_on, ("Content-Length", response.getheader("Content-Length") or "0"))
            return aws_requests.HttpAnswer(status=response.status, body=body, headers=passed_on)

    def _record(
        self,
        call: aws_requests.AwsCall,
        began: float,
        answer: aws_requests.HttpAnswer | None,
        outcome: str,
        needs: Sequence[permissions.Need],
    ) -> None:
        seconds = time.monotonic() - began
        self._calls.append(
            RecordedCall(
                service=call.service,
                operation=call.operation,
                caller=call.caller,
                principal=call.principal,
                at=datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(),
                seconds=round(seconds, 6),
                status=None if answer is None else answer.status,
                outcome=outcome,
                needs=[asdict(need) for need in needs],
            )
        )


def _read_outcome(answer: aws_requests.HttpAnswer) -> str:
    """`ok`, or the error's code in JSON or XML, or the status if the answer holds no code."""
    if answer.status < 400:
        return OK
    code = _ERROR_CODE.search(answer.body)
    return code[1].decode() if code else str(answer.status)
