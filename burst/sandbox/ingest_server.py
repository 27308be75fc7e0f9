"""The server of the reference gateway: a plain ASGI application with two routes, on uvicorn.

It uses no framework: only one route matters, and a framework's overhead would count in the times that the burst
measures. A push with a wrong key is refused before its body is read. A push is answered with a receipt only after the
receipt is committed.
"""

import asyncio
import hmac
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from burst.sandbox import envelope, receipt_writer

PUSH_PATH = "/v1/ingest/push"
HEALTH_PATH = "/healthz"
LARGEST_BODY_BYTES = 1024 * 1024

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

_STANDARD_INPUT = 0


class BodyTooLarge(Exception):
    """The body is larger than `LARGEST_BODY_BYTES`."""


class ClientGone(Exception):
    """The sender hung up before it had sent the whole body, so there is no event and no one to answer."""


class Application:
    """The gateway as an ASGI application over one writer."""

    def __init__(self, *, api_key: str, writer: receipt_writer.ReceiptWriter) -> None:
        self._api_key = api_key.encode()
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        route = (scope["method"], scope["path"])
        if route == ("POST", PUSH_PATH):
            await self._answer_push(scope, receive, send)
        elif route == ("GET", HEALTH_PATH):
            ready = self._writer.ready
            await _answer(send, 200 if ready else 503, {"status": "ok" if ready else "database away"})
        elif scope["path"] in (PUSH_PATH, HEALTH_PATH):
            await _answer(send, 405, {"error": "method not allowed"})
        else:
            await _answer(send, 404, {"error": "not found"})

    async def _answer_push(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(b"x-ig-api-key", b""), self._api_key):
            await _answer(send, 401, {"error": "unauthorized"})
            return
        try:
            body = await _read_body(headers, receive)
            receipt = await self._writer.decide(envelope.read_delivery(body))
        except ClientGone:
            return
        except BodyTooLarge:
            await _answer(send, 413, {"error": f"the body is larger than {LARGEST_BODY_BYTES} bytes"})
        except receipt_writer.DeliveryNotTaken as reason:
            await _answer(send, 503, {"error": str(reason)}, (b"retry-after", b"1"))
        else:
            await _answer(send, 200, _describe_receipt(receipt))


def _describe_receipt(receipt: receipt_writer.Receipt) -> dict[str, object]:
    return {
        "decision": receipt.decision,
        "event_id": receipt.delivery.event_id,
        "platform_run_id": receipt.delivery.scope,
        "receipt_id": receipt.receipt_id,
        "receipt_ref": receipt.reference,
        "reason_codes": receipt.delivery.reasons,
        "created_at_utc": receipt.created_at_utc,
    }


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    if int(headers.get(b"content-length", b"0")) > LARGEST_BODY_BYTES:
        raise BodyTooLarge
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY_BYTES:
            raise BodyTooLarge
    return body


async def _answer(send: Send, status: int, document: Mapping[str, object], *extra: Header) -> None:
    body = orjson.dumps(document)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(*, dsn: str, api_key: str, port: int, port_file: Path | None, until_eof: bool) -> None:
    """Serves on loopback until a signal ends it, or with `until_eof` the end of standard input."""
    writer = receipt_writer.ReceiptWriter(dsn)
    server = uvicorn.Server(
        uvicorn.Config(
            Application(api_key=api_key, writer=writer),
            http="httptools",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # long, so that a slow sender's idle connection stays open for its next event
            timeout_graceful_shutdown=2,
        )
    )
    if until_eof:
        asyncio.get_running_loop().add_reader(_STANDARD_INPUT, _end_at_eof, server)
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listening:
        async with asyncio.TaskGroup() as group:  # a failed writer ends the server, which could answer no push
            writer_task = group.create_task(writer.run())
            while not (writer.ready or server.should_exit):  # the parent may end while the database is still away
                await asyncio.sleep(0.005)
            if port_file is not None:
                _write_whole(port_file, str(listening.getsockname()[1]))
            await server.serve(sockets=[listening])
            writer_task.cancel()


def _end_at_eof(server: uvicorn.Server) -> None:
    if os.read(_STANDARD_INPUT, 4096) == b"":
        asyncio.get_running_loop().remove_reader(_STANDARD_INPUT)
        server.should_exit = True


def _write_whole(path: Path, text: str) -> None:
    """Writes under another name, then renames, so that no reader sees half a file."""
    temporary = path.with_name(path.name + ".making")
    temporary.write_text(text, encoding="ascii")
    temporary.replace(path)
