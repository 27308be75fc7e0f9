"""CloudWatch alarms, metric and composite, in one call a region.

DescribeAlarms answers by name and for the caller's own account, so an answer counts only where its ARN is the one that
was named. An answer waits briefly: the next look comes a few seconds later.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from burst.domain.basics import errors
from burst.domain.plan import field_types
from burst.domain.tasks import stop_signs
from burst.kit import aws

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
TYPES = ("MetricAlarm", "CompositeAlarm")
"""Without them DescribeAlarms leaves composite alarms out."""
MOST_RECORDS = 100


class CloudWatchAlarms:
    """`ports.Alarms` on CloudWatch. `client` serves every region; without it each region has its own."""

    def __init__(self, client: Any | None = None) -> None:
        self._clients: dict[str, Any] = {}
        self._client = client
        self._lock = threading.Lock()

    def look(self, arns: Sequence[str]) -> Mapping[str, stop_signs.Alarm | errors.BurstError]:
        """Each alarm as it stands, or why it cannot be read."""
        by_region: dict[str, list[str]] = {}
        answers: dict[str, stop_signs.Alarm | errors.BurstError] = {}
        for arn in arns:
            match = field_types.ALARM.fullmatch(arn)
            if match is None:
                answers[arn] = errors.UsageError(f"{arn} is no ARN of a CloudWatch alarm")
            else:
                by_region.setdefault(match["region"], []).append(arn)
        for region, region_arns in by_region.items():
            try:
                alarms = self._describe(region, region_arns)
            except errors.BurstError as exc:
                answers |= dict.fromkeys(region_arns, exc)
            else:
                absent = {arn: errors.Refused(f"there is no alarm {arn} in this account") for arn in region_arns}
                answers |= {**absent, **{arn: alarm for arn, alarm in alarms.items() if arn in absent}}
        return {arn: answers[arn] for arn in arns}

    def _describe(self, region: str, arns: Sequence[str]) -> dict[str, stop_signs.Alarm]:
        """The alarms of a region that bear these names, by ARN."""
        names = [arn.partition(":alarm:")[2] for arn in arns]
        parameters = {"AlarmNames": names, "AlarmTypes": list(TYPES), "MaxRecords": MOST_RECORDS}
        describe = self._open(region).describe_alarms
        answer = aws.call("cloudwatch:DescribeAlarms", describe, **parameters)
        described = (*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ()))
        return {str(entry["AlarmArn"]): _read_alarm(entry) for entry in described}

    def _open(self, region: str) -> Any:
        with self._lock:
            if self._client is not None:
                return self._client
            if region not in self._clients:
                self._clients[region] = aws.client(
                    "cloudwatch", region_name=region, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS
                )
            return self._clients[region]


def _read_alarm(entry: Mapping[str, Any]) -> stop_signs.Alarm:
    """One alarm. A state that this version does not know says nothing, as one without data."""
    state = str(entry.get("StateValue"))
    is_known = state in frozenset(stop_signs.AlarmState)
    return stop_signs.Alarm(
        arn=str(entry["AlarmArn"]),
        state=stop_signs.AlarmState(state) if is_known else stop_signs.AlarmState.INSUFFICIENT_DATA,
        reason=str(entry.get("StateReason") or "") if is_known else f"its state is {state}",
    )
