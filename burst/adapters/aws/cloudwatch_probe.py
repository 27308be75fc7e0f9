"""CloudWatch metrics as observed series: the newest whole period of one metric, with the instant at which it ended."""

from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.observations import answers
from burst.domain.plan import observe_sections
from burst.kit import aws

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
PERIODS_BACK = 5
"""How many periods back a value is looked for: CloudWatch has some of them a minute or two late."""


class CloudWatchProbe:
    """`ports.Probe` on one metric of CloudWatch, read with GetMetricData."""

    def __init__(
        self, metric: observe_sections.CloudWatchSection, clock: ports.Clock, client: Any | None = None
    ) -> None:
        self._metric = metric
        self._clock = clock
        self._client = client

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The newest whole period."""
        now, period = self._clock.now(), self._metric.period
        if self._client is None:
            self._client = aws.client("cloudwatch", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)
        answer = aws.call(
            "cloudwatch:GetMetricData",
            self._client.get_metric_data,
            MetricDataQueries=[self._build_query()],
            StartTime=instants.later(now, -period * PERIODS_BACK),
            EndTime=now,
            ScanBy="TimestampDescending",
        )
        results = answer.get("MetricDataResults") or [{}]
        points = zip(results[0].get("Timestamps", ()), results[0].get("Values", ()), strict=True)
        whole = [(instants.later(instants.utc(at), period), float(value)) for at, value in points]
        ended = [(ended_at, value) for ended_at, value in whole if ended_at <= now]
        if not ended:
            metric = f"{self._metric.namespace}/{self._metric.metric}"
            raise errors.Unavailable(f"CloudWatch has no value of {metric} in the last {PERIODS_BACK} periods")
        of, value = max(ended, key=lambda point: point[0])
        return answers.Answer(value=answers.require_usable(value), of=of)

    def _build_query(self) -> dict[str, Any]:
        metric = self._metric
        dimensions = [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions.items())]
        named = {"Namespace": metric.namespace, "MetricName": metric.metric, "Dimensions": dimensions}
        return {
            "Id": "series",
            "MetricStat": {"Metric": named, "Period": int(metric.period), "Stat": metric.statistic},
            "ReturnData": True,
        }
