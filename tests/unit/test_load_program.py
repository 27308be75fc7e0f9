"""The command of a task: burst's own profile with its senders, an ordinary locustfile as its author runs it."""

from typing import Any

import pytest

from burst.domain.basics import errors
from burst.domain.plan import load_sections
from burst.domain.preflight import findings, judgements
from burst.domain.tasks import ecs_definitions
from burst.load import shipped_profiles
from burst.wiring.targets import ecs_adapters, load_program
from tests import cases

HOST = "http://127.0.0.1:1"
START = ("python", "-m", "burst.load.locust_start", "-f")
BEHIND_USERS = ("--host", HOST, "--stop-timeout", "1", "--exit-code-on-error", "0")


def command(**load: Any) -> tuple[str, ...]:
    return load_program.command(cases.plan(load={"host": HOST} | load), python="python")


def test_the_plan_and_the_wheel_name_the_own_profile_alike() -> None:
    assert load_sections.OWN_PROFILE == shipped_profiles.NAME


def test_bursts_own_profile_has_its_senders() -> None:
    words = command(locustfile=load_sections.OWN_PROFILE, rate=600)

    assert words == (
        *START, load_sections.OWN_PROFILE, "--headless", "--only-summary", "-u", "32", "-r", "32", *BEHIND_USERS,
    )  # fmt: skip


def test_an_ordinary_locustfile_keeps_its_own_defaults() -> None:
    assert command(locustfile="shop.py") == (*START, "shop.py", "--headless", "--only-summary", *BEHIND_USERS)


def test_an_ordinary_locustfile_gets_users_arguments_and_tags_of_the_plan() -> None:
    words = command(
        locustfile="shop.py", users=40, spawn_rate=2.5, arguments=["--own", "x", "ShopUser"], tags=["fast", "paid"]
    )

    assert words == (
        *START, "shop.py", "--headless", "--only-summary", "-u", "40", "-r", "2.5", *BEHIND_USERS,
        "--own", "x", "ShopUser", "--tags", "fast", "paid",
    )  # fmt: skip


def test_several_files_are_one_word_of_locusts_and_names_come_where_no_option_takes_them() -> None:
    words = command(locustfile=["shop.py", "more.py"], user_classes=["Buyer", "Looker"], tags=["fast"])

    assert words == (
        *START, "shop.py,more.py", "--headless", "--only-summary", "Buyer", "Looker", *BEHIND_USERS, "--tags", "fast",
    )  # fmt: skip


def describe(*variables: str) -> str:
    """The program of a plan in a task definition that sets these variables."""
    definition = ecs_definitions.Definition(
        arn="burst-task:1", container="burst", guarded=True, sidecar=True, stop_timeouts=(("burst", 30.0),),
        secrets=frozenset(), variables=frozenset(variables),
    )  # fmt: skip
    return ecs_adapters.describe_program(cases.plan(load={"command": ["push-events"]}), definition)


@pytest.mark.parametrize("name", ["LOCUST_RUN_TIME", "BURST_SOURCE_EVENTS", "BURST_RATE_PER_MINUTE", "BURST_HOST"])
def test_a_task_definition_that_sets_a_setting_of_the_load_is_refused(name: str) -> None:
    with pytest.raises(errors.Refused, match=f"sets {name}, which would change the load"):
        describe("PATH", name)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"environment": [{"name": "LOCUST_RUN_TIME", "value": "3s"}]}, "sets LOCUST_RUN_TIME,"),
        ({"secrets": [{"name": "LOCUST_TAGS", "valueFrom": "arn:x"}]}, "sets LOCUST_TAGS,"),
        ({"secrets": [{"name": "BURST_HOST", "valueFrom": "arn:x"}]}, "sets BURST_HOST,"),
    ],
)
def test_a_setting_of_the_load_is_found_wherever_a_definition_sets_it(container: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Refused, match=words):
        ecs_adapters.describe_program(cases.plan(load={"command": ["push-events"]}), read(container))


def test_files_of_variables_that_preflight_does_not_read_are_warned_of() -> None:
    definition = read({"environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::b/load.env"}]})

    finding = judgements.judge_program("push-events", definition.variable_files)

    assert finding.status is findings.FindingStatus.WARNING
    assert "variables come from arn:aws:s3:::b/load.env too" in finding.seen
    assert judgements.judge_program("push-events", read({}).variable_files).passed


def read(container: dict[str, Any]) -> ecs_definitions.Definition:
    """The definition in an answer of ECS, whose one container has these keys."""
    described = {"taskDefinitionArn": "burst-task:1", "containerDefinitions": [{"name": "burst"} | container]}
    return ecs_definitions.read_definition(described, None)


def test_a_task_definition_may_set_what_the_plan_says_anew() -> None:
    assert "under guard" in describe("PATH", "BURST_SCOPE", "BURST_PROFILE")
