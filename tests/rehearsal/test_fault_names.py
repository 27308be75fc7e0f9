"""The form in which a command line writes faults."""

import pytest

from burst.domain.basics import errors
from burst.rehearsal import faults

READ = {
    "controller-kill@5": faults.Fault(name="controller-kill", at_seconds=5),
    "ecs-down@30+540": faults.Fault(name="ecs-down", at_seconds=30, duration_seconds=540),
    "s3-down@0.5+1.25": faults.Fault(name="s3-down", at_seconds=0.5, duration_seconds=1.25),
    "response-lost:RunTask@0": faults.Fault(name="response-lost", argument="RunTask"),
    "capacity:FARGATE_SPOT@1+2": faults.Fault(
        name="capacity", argument="FARGATE_SPOT", at_seconds=1, duration_seconds=2
    ),
    "clock-skew:-300@0": faults.Fault(name="clock-skew", argument="-300"),
    "ecs-down@bursting": faults.Fault(name="ecs-down", phase="bursting"),
    "ecs-down@bursting+5": faults.Fault(name="ecs-down", phase="bursting", at_seconds=5),
    "s3-down@stopping+0.5+10": faults.Fault(name="s3-down", phase="stopping", at_seconds=0.5, duration_seconds=10),
    "response-lost:RunTask@launching": faults.Fault(name="response-lost", argument="RunTask", phase="launching"),
    "denied:ecs:StopTask@3": faults.Fault(name="denied", argument="ecs:StopTask", at_seconds=3),
    "infrastructure-health:HostRetired@3": faults.Fault(
        name="infrastructure-health", argument="HostRetired", at_seconds=3
    ),
    "tasks-missing:40@0": faults.Fault(name="tasks-missing", argument="40"),
}
REFUSED = {
    "ecs-down": "is not NAME@SECONDS",
    "ecs-down@": "is not NAME@SECONDS",
    "ecs-down@-1": "is not NAME@SECONDS",
    "ecs-down@1m": "is not NAME@SECONDS",
    "ecs-down@1+": "is not NAME@SECONDS",
    "ecs-down@1+2+3": "is not NAME@SECONDS",
    " ecs-down@1": "is not NAME@SECONDS",
    "ecs-down@\u0661": "is not NAME@SECONDS",
    "ecs-up@1": "is no fault; allowed are controller-kill, ecs-down",
    "ecs-down@1+0": "a duration over 0 s",
    "ecs-down@bursting+1+0": "a duration over 0 s",
    "ecs-down@bursting+1+2+3": "is not NAME@SECONDS",
    "ecs-down@bursting-1": "allowed phases: arming, launching",
    "ecs-down@bursts": "'bursts' is no phase; allowed are arming, launching, .*, reconciling, or seconds since",
    "ecs-down@Bursting": "is not NAME@SECONDS",
    "ecs-up@bursting": "is no fault; allowed are controller-kill, ecs-down",
    "response-lost@1": "needs the operation",
    "response-lost:run@1": "needs the operation",
    "capacity:CHEAP@1": "no capacity provider; allowed are FARGATE, FARGATE_SPOT",
    "clock-skew:soon@1": "no number of seconds",
    "tasks-missing:-1@1": "no number of seconds",
    "metadata-slow:never@1": "no number of seconds",
    "denied@1": "needs the action that IAM denies",
    "denied:StopTask@1": "needs the action that IAM denies",
    "infrastructure-health:gone-bad@1": "no stop code",
    "ecs-down:why@1": "takes no argument",
}


@pytest.mark.parametrize(("text", "expected"), READ.items(), ids=READ.keys())
def test_a_fault_is_read_from_its_form(text: str, expected: faults.Fault) -> None:
    assert faults.parse_fault(text) == expected


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=REFUSED.keys())
def test_any_other_form_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(errors.UsageError, match=why):
        faults.parse_fault(text)


def test_a_label_is_ordered_once_and_another_argument_makes_another_label() -> None:
    two = faults.parse_faults(["response-lost:RunTask@0", "response-lost:StopTask@5"])

    assert [fault.label for fault in two] == ["response-lost:RunTask", "response-lost:StopTask"]
    with pytest.raises(errors.UsageError, match=r"--fault ecs-down is given more than once; allowed: each fault once"):
        faults.parse_faults(["ecs-down@5+10", "sts-down@5", "ecs-down@40+10"])


def test_a_label_is_parsed_to_its_fault() -> None:
    for fault in READ.values():
        parsed = faults.parse_label(fault.label)

        assert (parsed.name, parsed.argument) == (fault.name, fault.argument)


def test_a_fault_that_takes_seconds_has_some_without_an_argument() -> None:
    for name, seconds in faults.DEFAULT_SECONDS.items():
        assert faults.parse_label(name).seconds == seconds
        assert faults.parse_label(f"{name}:7.5").seconds == 7.5


def test_every_fault_is_described_in_one_line() -> None:
    assert all(text and "\n" not in text for text in faults.FAULTS.values())
    assert set(faults.FAULTS) >= faults.STRIKES
