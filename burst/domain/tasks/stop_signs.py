"""Stop signs: the alarms and facts of a plan's `stop_when`, and the answer of each: stop, go on, or nobody can tell.

An answer that cannot be had is neither: it stops no run, and is never taken for quiet.
"""

import enum
from dataclasses import dataclass

from burst.domain.basics import errors


class AlarmState(enum.StrEnum):
    """The state of a CloudWatch alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm by its ARN, with its state and CloudWatch's reason for it."""

    arn: str
    state: AlarmState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignAnswer:
    """The answer of one stop sign. `met`: the run has to stop; None: nobody can tell, and `detail` says why."""

    sign: str
    met: bool | None
    value: bool | int | float | str | None = None
    detail: str = ""
    unread: bool = False
    """Whether it could not be asked at all; an alarm without data, and a question without a value, were."""


def answer_of_alarm(arn: str, alarm: Alarm | errors.BurstError) -> SignAnswer:
    """The answer of an alarm, or of why it cannot be read. An alarm without data says nothing."""
    if isinstance(alarm, errors.BurstError):
        return SignAnswer(sign=arn, met=None, detail=str(alarm), unread=True)
    if alarm.state is AlarmState.INSUFFICIENT_DATA:
        why = f"INSUFFICIENT_DATA: {alarm.reason or 'CloudWatch has no data for it'}"
        return SignAnswer(sign=arn, met=None, value=alarm.state.value, detail=why)
    return SignAnswer(sign=arn, met=alarm.state is AlarmState.ALARM, value=alarm.state.value, detail=alarm.reason)
