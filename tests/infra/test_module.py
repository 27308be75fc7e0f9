"""The Terraform module as a text: formatted, valid with its examples, and its own tests without any AWS."""

import re
from pathlib import Path

import pytest

from tests import terraforming

MODULES = [terraforming.INFRA, *sorted((terraforming.INFRA / "examples").iterdir())]
_BLOCK = re.compile(r'(?m)^(variable|output) "(\w+)" \{')


def described(folder: Path, kind: str) -> list[str]:
    """The names of the blocks of a kind."""
    texts = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    return [name for found, name in _BLOCK.findall(texts) if found == kind]


def test_every_file_is_formatted() -> None:
    terraforming.require(provider=False)

    shown = terraforming.Terraform(folder=terraforming.INFRA).run("fmt", "-check", "-recursive", "-diff", codes=(0, 3))

    assert shown.stdout == ""


@pytest.mark.parametrize("example", ["minimal", "existing-vpc"])
def test_an_example_is_valid(example: str, tmp_path: Path) -> None:
    terraforming.require()
    terraform = terraforming.copy(tmp_path, example)
    terraform.init()

    answer = terraform.json("validate", "-json")

    assert answer["diagnostics"] == []
    assert answer["valid"]


def test_the_module_passes_its_own_tests(tmp_path: Path) -> None:
    terraforming.require()
    terraform = terraforming.copy(tmp_path)
    terraform.init()

    shown = terraform.run("test", "-no-color")

    assert re.search(r"Success! \d+ passed, 0 failed\.", shown.stdout)


def test_a_secret_that_was_given_for_its_arn_is_refused_and_not_shown(tmp_path: Path) -> None:
    terraforming.require()
    terraform = terraforming.copy(tmp_path, "minimal")
    given = (terraform.folder / "terraform.tfvars.example").read_text()
    given = re.sub(r'(?m)^(api_key_arn|receipts_dsn_arn)( *= ").*"$', r'\1\2postgresql://reader:hunter2@db/ig"', given)
    (terraform.folder / "terraform.tfvars").write_text(given)
    (terraform.folder / "mocked.tftest.hcl").write_text(
        'mock_provider "aws" {}\n\nrun "planned" {\n  command = plan\n}\n'
    )
    terraform.init()

    shown = terraform.run("test", "-no-color", codes=(1,))

    said = " ".join((shown.stdout + shown.stderr).split())
    assert (
        "receipts_dsn_arn is the ARN of an SSM parameter or of a Secrets Manager secret, never the DSN itself." in said
    )
    assert "api_key_arn is the ARN of an SSM parameter or of a Secrets Manager secret, never the key itself." in said
    assert "hunter2" not in said


@pytest.mark.parametrize("example", ["minimal", "existing-vpc"])
def test_an_example_comes_with_everything_it_has_to_be_told(example: str) -> None:
    folder = terraforming.INFRA / "examples" / example
    blocks = re.findall(r'(?ms)^variable "(\w+)" \{(.*?)^\}', (folder / "variables.tf").read_text())
    given = re.findall(r"(?m)^(\w+) *=", (folder / "terraform.tfvars.example").read_text())

    assert given == [name for name, block in blocks if not re.search(r"(?m)^  default ", block)]


@pytest.mark.parametrize("kind", ["variable", "output"])
def test_the_readme_names_every_input_and_output(kind: str) -> None:
    readme = (terraforming.INFRA / "README.md").read_text()
    names = described(terraforming.INFRA, kind)

    assert [name for name in names if f"| `{name}` |" not in readme] == []
    assert names


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_every_input_and_output_says_what_it_is(folder: Path) -> None:
    blocks = re.findall(
        r'(?ms)^(?:variable|output) "\w+" \{.*?^\}', "\n".join(p.read_text() for p in folder.glob("*.tf"))
    )

    assert [block for block in blocks if 'description = "' not in block] == []
    assert blocks


def test_every_statement_of_a_policy_has_its_sid_and_its_reason() -> None:
    lines = (terraforming.INFRA / "roles.tf").read_text().splitlines()
    lines += (terraforming.INFRA / "evidence.tf").read_text().splitlines()
    starts = [index for index, line in enumerate(lines) if re.fullmatch(r'\s*(statement|dynamic "statement") \{', line)]

    unexplained = [lines[index + 1] for index in starts if not lines[index - 1].strip().startswith("# ")]
    unnamed = [lines[index - 1] for index in starts if not any(" sid " in line for line in lines[index : index + 9])]

    assert (unexplained, unnamed) == ([], [])
    assert len(starts) > 30


def test_no_value_of_a_secret_is_read_or_made_by_terraform() -> None:
    texts = "\n".join(path.read_text() for path in terraforming.INFRA.rglob("*.tf"))

    assert re.findall(r"aws_ssm_parameter|aws_secretsmanager|random_password", texts) == []
