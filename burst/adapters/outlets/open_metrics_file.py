"""The figures of the last run as OpenMetrics text in a file, for a collector that reads files.

Every metric is a gauge, `burst_run_info` too: the textfile collector of node_exporter reads the older text format,
knows no type `info`, and leaves out the whole file for one line that it cannot read.
"""

from pathlib import Path

from burst.domain.basics import errors
from burst.domain.verdict import run_messages
from burst.kit import files

_LABELS = ("phase", "environment")
_ENDED = "burst_ended_timestamp_seconds"


class OpenMetricsFile:
    """`ports.Outlet` that replaces one file whole, once a run has a verdict. An unknown figure has no line."""

    name = "openmetrics"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, message: run_messages.RunMessage) -> None:
        """Replaces the file. Raises `errors.Refused` where it cannot be written, or is of a later run."""
        if message.verdict is None:
            return
        try:
            if self._read_ended_timestamp_seconds() > message.at_utc.timestamp():
                raise errors.Refused(
                    "its file holds the figures of a run that ended later; remove it where that is wrong"
                )
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(self._path, render(message))
        except OSError as failure:
            raise errors.Refused(f"its file cannot be written: {failure.strerror}") from failure

    def _read_ended_timestamp_seconds(self) -> float:
        """When the run ended whose figures the file holds; 0 where it holds none."""
        from prometheus_client.openmetrics import parser

        content = self._path.read_bytes() if self._path.is_file() else b""
        try:
            families = list(parser.text_string_to_metric_families(content.decode()))
        except Exception:  # whatever other words make the library raise: they are no figures
            return 0.0
        return max((each.samples[0].value for each in families if each.name == _ENDED and each.samples), default=0.0)


def render(message: run_messages.RunMessage) -> bytes:
    """The text of a message with a verdict."""
    import prometheus_client
    from prometheus_client.openmetrics import exposition

    registry = prometheus_client.CollectorRegistry()
    labels = (message.phase, message.environment)
    figures = {
        **message.figures,
        "passed": float(message.verdict == "PASS"),
        "exit_code": float(message.exit_code or 0),
        "ended_timestamp_seconds": message.at_utc.timestamp(),
    }
    for name, value in sorted(figures.items()):
        words = f"{name} of the last run of the phase"
        prometheus_client.Gauge(f"burst_{name}", words, _LABELS, registry=registry).labels(*labels).set(value)
    names = (*_LABELS, "execution_id", "platform_run_id")
    info = prometheus_client.Gauge("burst_run_info", "The last run of the phase", names, registry=registry)
    info.labels(*labels, message.execution_id, message.platform_run_id).set(1)
    content: bytes = exposition.generate_latest(registry)
    return content
