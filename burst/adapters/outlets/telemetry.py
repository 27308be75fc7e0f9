"""OTLP over HTTP: the figures of a run as gauges, and one trace with the run, its counted window and its tasks.

The SDK makes and encodes them, and burst posts them: the exporters of the SDK count a redirect as a success, and write
the address of a collector, which may hold a secret, into a log. The trace is made once the run has a verdict, from the
instants of the evidence, so that it shows what was judged.
"""

import hashlib
import itertools
import os
from datetime import datetime
from typing import TYPE_CHECKING

from burst.adapters.outlets import posts
from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.id_generator import IdGenerator

_UNITS = {"admits": "{receipt}", "duplicates": "{receipt}", "open_blockers": "{blocker}", "cost_usd": "{USD}"}
_SUFFIXES = {"_seconds": "s", "_ms": "ms"}


class Telemetry:
    """`ports.Outlet` of a collector. A message without a verdict has no figures, and is not sent."""

    name = "otlp"

    def __init__(self, endpoint: redaction.Secret) -> None:
        self._endpoint = endpoint
        self._posts = posts.SeveralPosts()

    def send(self, message: run_messages.RunMessage) -> None:
        """Sends metrics, then the trace. Raises as `posts.post`; sent again, it posts only what was not taken."""
        if message.verdict is None:
            return
        from opentelemetry.exporter.otlp.proto.common import metrics_encoder, trace_encoder

        self._post(message.id, "metrics", metrics_encoder.encode_metrics(make_metrics(message)).SerializeToString())
        self._post(message.id, "traces", trace_encoder.encode_spans(make_spans(message)).SerializeToString())

    def _post(self, message_id: str, signal: str, body: bytes) -> None:
        address = redaction.Secret(f"{self._endpoint.reveal().rstrip('/')}/v1/{signal}")
        headers = {"content-type": "application/x-protobuf", "user-agent": "burst", **_read_headers(signal)}
        self._posts.post(f"{message_id} {signal}", address, body, headers)


def make_metrics(message: run_messages.RunMessage) -> "MetricsData":
    """One gauge for each figure, and `burst.passed`."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], resource=_make_resource(message), shutdown_on_exit=False)
    meter = provider.get_meter("burst")
    for name, value in {**message.figures, "passed": float(message.verdict == "PASS")}.items():
        meter.create_gauge(f"burst.{name}", unit=_name_unit(name)).set(value)
    collected = reader.get_metrics_data()
    provider.shutdown()
    if collected is None:
        raise errors.Refused("no figure was collected")
    return collected


def make_spans(message: run_messages.RunMessage) -> "Sequence[ReadableSpan]":
    """The first stretch as the root of the trace, the others as its children."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider, sampling
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider(
        resource=_make_resource(message),
        id_generator=_make_ids(message.id),
        sampler=sampling.ALWAYS_ON,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("burst")
    parent = None
    for stretch in message.spans:
        span = tracer.start_span(stretch.name, context=parent, start_time=_nanoseconds(stretch.start_utc))
        if parent is None:
            parent = trace.set_span_in_context(span)
            failed = message.verdict != "PASS"
            span.set_status(
                trace.StatusCode.ERROR if failed else trace.StatusCode.OK, message.words if failed else None
            )
        span.end(end_time=_nanoseconds(stretch.end_utc))
    finished = kept.get_finished_spans()
    provider.shutdown()
    return finished


def _make_ids(message_id: str) -> "IdGenerator":
    """Ids that are the same however often a message is sent, so that a run is one trace."""
    from opentelemetry.sdk.trace import id_generator

    numbers = itertools.count(1)

    class MessageIds(id_generator.IdGenerator):
        def generate_trace_id(self) -> int:
            return _derive_number(message_id, 16)

        def generate_span_id(self) -> int:
            return _derive_number(f"{message_id} {next(numbers)}", 8)

    return MessageIds()


def _derive_number(words: str, size_bytes: int) -> int:
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:size_bytes])


def _read_headers(signal: str) -> dict[str, str]:
    """The headers of the operator's environment, as OpenTelemetry names and writes them."""
    from opentelemetry.util import re as header_lists

    common = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    text = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS", common)
    return dict(header_lists.parse_env_headers(text, liberal=True))


def _make_resource(message: run_messages.RunMessage) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    return Resource(
        {
            "service.name": "burst",
            "deployment.environment.name": message.environment,
            "burst.phase": message.phase,
            "burst.execution_id": message.execution_id,
            "burst.scope": message.platform_run_id,
            "burst.verdict": message.verdict or "",
        }
    )


def _name_unit(name: str) -> str:
    suffix = next((unit for ending, unit in _SUFFIXES.items() if name.endswith(ending)), "1")
    return _UNITS.get(name, suffix)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
