"""`burst init --from-terraform`: the module's outputs become a commented plan, or are refused by name."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import burst
from burst.domain.basics import errors
from burst.domain.plan import plans, terraform
from tests import terraforming

EXAMPLE = (Path(burst.__file__).parent / "cli" / "examples" / "ecs.yaml").read_text()

DSN = "the Postgres with its receipts: postgresql://USER:PASSWORD@HOST/NAME (it is only read)"


def written(value: dict[str, Any]) -> str:
    """The plan made of an output."""
    return terraform.write(EXAMPLE, terraform.parse(terraforming.outputs(value), source="outputs.json"))


def test_the_plan_holds_every_value_that_terraform_decided() -> None:
    plan = plans.parse(written(terraforming.OUTPUT), source="plan.yaml").document()

    assert plan["environment"] == "staging"
    assert terraforming.OUTPUT["target"].items() <= plan["target"].items()
    assert terraforming.OUTPUT["evidence"].items() <= plan["evidence"].items()
    assert plan["load"]["host"] == "http://ingest.internal:8080"
    assert plan["load"]["api_key"] == "env:IG_API_KEY"


def test_what_terraform_does_not_decide_stays_as_the_example_has_it() -> None:
    made, example = (
        plans.parse(text, source="plan.yaml").document() for text in (written(terraforming.OUTPUT), EXAMPLE)
    )

    assert {key: made[key] for key in ("phase", "budget", "gates", "facts", "baseline")} == {
        key: example[key] for key in ("phase", "budget", "gates", "facts", "baseline")
    }


def test_every_comment_of_the_example_stands_in_the_plan() -> None:
    made = written(terraforming.OUTPUT)
    comments = [line[line.index("#") :] for line in EXAMPLE.splitlines() if "#" in line]

    assert [comment for comment in comments if comment not in made] == [
        "# Change every name below `target`, `load.host` and the places below `evidence` to your own.",
        "#   export IG_ADMISSION_DSN=...    " + DSN,
    ]
    assert "Terraform made in eu-west-2" in made


def test_receipts_are_counted_by_the_modules_counter_which_has_the_dsn() -> None:
    plan = plans.parse(written(terraforming.OUTPUT), source="plan.yaml")

    assert (plan.receipts.via, plan.receipts.dsn, plan.counter) == ("task", None, "burst-staging-counter")


def test_an_ingest_without_a_key_is_given_none() -> None:
    value = copy.deepcopy(terraforming.OUTPUT)
    value["load"]["api_key"] = False

    text = written(value)

    assert "api_key" not in plans.parse(text, source="plan.yaml").document()["load"]
    assert "never values.\nschema: " in text


def test_the_plan_is_as_tidy_as_the_example() -> None:
    columns = {line[line.index("#") :]: line.index("#") for line in EXAMPLE.splitlines() if "#" in line}
    made = written(terraforming.OUTPUT).splitlines()

    beside = [line.partition("#") for line in made if line[line.find("#") :] in columns and line.find("#") > 0]
    moved = [
        f"{code}{mark}{comment}"
        for code, mark, comment in beside
        if len(code) != max(columns[mark + comment], len(code.rstrip()) + 2)
    ]

    assert moved == []
    assert len(beside) > 10
    assert [line for line, after in itertools.pairwise(made) if line.endswith(":") and not after] == []


def test_a_mark_that_a_shell_put_before_the_outputs_is_passed_over() -> None:
    text = "\ufeff" + terraforming.outputs()

    assert terraform.parse(text, source="outputs.json") == terraform.parse(text[1:], source="outputs.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Apply complete!", "saw no JSON"),
        ("[]", "saw no output named plan"),
        (json.dumps({"vpc": {"value": "vpc-1"}}), "saw no output named plan"),
        ("{}", "`terraform output -json`, without a name, prints where burst's module (infra/) was applied"),
        (json.dumps(terraforming.OUTPUT), "without a name"),
        (terraforming.outputs("free tier"), "plan: it is no object; is it the output of burst's module"),
        (terraforming.outputs({**terraforming.OUTPUT, "zone": "a"}), "plan.zone: Extra inputs are not permitted"),
        (
            terraforming.outputs({key: terraforming.OUTPUT[key] for key in terraforming.OUTPUT if key != "evidence"}),
            "plan.evidence: Field required",
        ),
        (
            terraforming.outputs({**terraforming.OUTPUT, "target": {**terraforming.OUTPUT["target"], "subnets": []}}),
            "plan.target.subnets: List should have",
        ),
    ],
    ids=[
        "no JSON",
        "a list",
        "other outputs",
        "nothing applied",
        "the value alone",
        "another plan",
        "a newer module",
        "an older module",
        "no subnets",
    ],
)
def test_outputs_of_something_else_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        terraform.parse(text, source="outputs.json")

    assert said in str(caught.value)
    assert str(caught.value).startswith("outputs.json: ")


def test_a_host_with_the_route_in_it_is_refused_as_a_plan_would() -> None:
    value = copy.deepcopy(terraforming.OUTPUT)
    value["load"]["host"] = "http://ingest.internal:8080/v1/ingest/push"

    with pytest.raises(plans.PlanError, match="twice gives 404"):
        written(value)


def test_a_value_cannot_break_out_of_its_line() -> None:
    value = copy.deepcopy(terraforming.OUTPUT)
    value["evidence"]["run_scoped"] = "s3://kept/evidence/runs\nfacts: []  # none"

    with pytest.raises(plans.PlanError, match=r"evidence\.run_scoped"):
        written(value)
