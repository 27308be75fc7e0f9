"""Prometheus as an observed series: an instant query over plain HTTP, which has to give one value with its instant."""

import http.client
import json
import urllib.parse
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.observations import answers
from burst.domain.plan import observe_sections

LARGEST_ANSWER = 1 << 20
"""Bytes."""


class PrometheusProbe:
    """`ports.Probe` on a Prometheus server, or anything that answers `/api/v1/query` as it does."""

    def __init__(self, section: observe_sections.PrometheusSection, clock: ports.Clock) -> None:
        self._section = section
        self._clock = clock
        self._parts = urllib.parse.urlsplit(section.url)

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The one value of the query."""
        seconds = max(0.1, instants.seconds_between(self._clock.now(), give_up_at))
        status, content = self._get(seconds)
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or status != http.client.OK or answer.get("status") != "success":
            words = str(answer.get("error", ""))[:200] if isinstance(answer, dict) else ""
            raise errors.Refused(f"{self._section.url} answered the query with status {status}: {words or 'no words'}")
        at, value = _find_point(answer.get("data"), self._section.query)
        return answers.Answer(value=answers.require_usable(value), of=answers.from_epoch(at))

    def _get(self, seconds: float) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(self._parts.hostname), self._parts.port, timeout=seconds)
        query = urllib.parse.urlencode({"query": self._section.query, "timeout": f"{max(1, int(seconds))}s"})
        try:
            connection.request("GET", f"{self._parts.path.rstrip('/')}/api/v1/query?{query}")
            response = connection.getresponse()
            content = response.read(LARGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as exc:
            raise errors.Unavailable(f"{self._section.url} did not answer: {type(exc).__name__}") from exc
        finally:
            connection.close()
        if len(content) > LARGEST_ANSWER:
            raise errors.Refused(f"{self._section.url} answered more than {LARGEST_ANSWER} bytes; ask for one value")
        return response.status, content


def _find_point(data: Any, query: str) -> tuple[float, float]:
    """The instant and the value of a scalar, or of a vector with one element."""
    data = data if isinstance(data, dict) else {}
    result = data.get("result")
    points = [result] if data.get("resultType") == "scalar" else []
    if data.get("resultType") == "vector" and isinstance(result, list):
        points = [element.get("value") for element in result if isinstance(element, dict)]
    if len(points) != 1:
        raise errors.Refused(f"{query} gives {len(points)} values; ask for one, such as max(...)")
    try:
        at, value = points[0]
        return float(at), float(value)
    except (TypeError, ValueError) as exc:
        raise errors.Refused(f"{query} gives no value that is a number") from exc
