"""The contract of `ports.Alarms`, on the fake and on a simulated CloudWatch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from burst import ports
from burst.adapters.aws import alarms
from burst.domain.basics import errors
from burst.domain.tasks import stop_signs
from burst.kit import aws
from burst.rehearsal import settings
from tests import fakes_stop_signs, fixtures_aws

PORT = ports.Alarms
PREFIX = f"arn:aws:cloudwatch:{settings.REGION}:{settings.ACCOUNT}:alarm:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Alarms by ARN, and how one gets into a state."""

    alarms: ports.Alarms
    arns: tuple[str, str]
    set_state: Callable[[str, stop_signs.AlarmState, str], object]

    def state(self, arn: str) -> stop_signs.AlarmState:
        answer = self.alarms.look([arn])[arn]
        assert isinstance(answer, stop_signs.Alarm)
        return answer.state


def fake_stage() -> Stage:
    fake = fakes_stop_signs.FakeAlarms()
    arns = (f"{PREFIX}ingest 5xx", f"{PREFIX}lag")
    for arn in arns:
        fake.set_state(arn, stop_signs.AlarmState.OK)
    return Stage(alarms=fake, arns=arns, set_state=fake.set_state)


def put_alarm(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name, MetricName="5xx", Namespace="ingest", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=5, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip


def cloudwatch_stage(cloud: fixtures_aws.Cloud) -> Stage:
    cloudwatch = aws.client("cloudwatch")
    names = (f"ingest 5xx {cloud.name}", f"lag-{cloud.name}")
    for name in names:
        put_alarm(cloudwatch, name)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="quiet")

    def set_state(arn: str, state: stop_signs.AlarmState, reason: str) -> None:
        name = arn.removeprefix(PREFIX)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state.value, StateReason=reason)

    return Stage(alarms=alarms.CloudWatchAlarms(), arns=(PREFIX + names[0], PREFIX + names[1]), set_state=set_state)


@pytest.fixture(params=["fake", "cloudwatch"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return fake_stage() if request.param == "fake" else cloudwatch_stage(request.getfixturevalue("cloud"))


@pytest.mark.parametrize("state", list(stop_signs.AlarmState))
def test_an_alarm_has_its_state_and_the_reason_for_it(stage: Stage, state: stop_signs.AlarmState) -> None:
    stage.set_state(stage.arns[0], state, "Threshold Crossed: 12 > 5")

    answers = stage.alarms.look(stage.arns)

    first, second = (answers[arn] for arn in stage.arns)
    assert first == stop_signs.Alarm(arn=stage.arns[0], state=state, reason="Threshold Crossed: 12 > 5")
    assert isinstance(second, stop_signs.Alarm)
    assert second.state is stop_signs.AlarmState.OK


def test_an_absent_alarm_says_so_and_holds_up_no_other(stage: Stage) -> None:
    absent = f"{PREFIX}no such alarm"

    answers = stage.alarms.look([absent, stage.arns[1]])

    assert list(answers) == [absent, stage.arns[1]]
    assert isinstance(answers[absent], errors.Refused)
    assert absent in str(answers[absent])
    assert isinstance(answers[stage.arns[1]], stop_signs.Alarm)


def test_an_alarm_of_another_account_is_absent_though_one_here_has_its_name(stage: Stage) -> None:
    foreign = stage.arns[0].replace(settings.ACCOUNT, "210987654321")

    assert isinstance(stage.alarms.look([foreign])[foreign], errors.Refused)


def test_no_alarm_is_no_question(stage: Stage) -> None:
    assert stage.alarms.look([]) == {}


def test_an_alarm_is_looked_at_anew_each_time(stage: Stage) -> None:
    before = stage.state(stage.arns[0])
    stage.set_state(stage.arns[0], stop_signs.AlarmState.ALARM, "")

    assert (before, stage.state(stage.arns[0])) == (stop_signs.AlarmState.OK, stop_signs.AlarmState.ALARM)


# What only CloudWatch has


def test_every_alarm_of_a_region_comes_with_one_call(cloud: fixtures_aws.Cloud) -> None:
    cloudwatch = aws.client("cloudwatch")
    arns = [f"{PREFIX}{name} {cloud.name}" for name in ("lag", "5xx", "saturation")]
    for arn in arns:
        put_alarm(cloudwatch, arn.removeprefix(PREFIX))
    before = cloud.calls("DescribeAlarms")

    answers = alarms.CloudWatchAlarms().look(arns)

    assert all(isinstance(answer, stop_signs.Alarm) for answer in answers.values()), answers
    assert cloud.calls("DescribeAlarms") == before + 1


def test_cloudwatch_that_does_not_answer_makes_each_alarm_unreadable(
    cloud: fixtures_aws.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    arns = [f"{PREFIX}a", f"{PREFIX}b"]

    answers = alarms.CloudWatchAlarms().look(arns)

    assert [type(answers[arn]) for arn in arns] == [errors.Unavailable, errors.Unavailable]
