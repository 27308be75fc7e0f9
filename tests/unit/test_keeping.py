"""Files of Locust that a plan keeps: from lines of accounts to one document, without secrets and within bounds."""

import json
from typing import Any

import pytest

from burst.control import keeping
from burst.domain.basics import canonical, redaction
from burst.load import kept_files, load_account

SECRET = "a-key-nobody-may-see"
REDACTOR = redaction.Redactor([SECRET])
TABLE = f"Method,Name\r\nGET,/search?token={SECRET}&q=1\r\nPOST,{SECRET}\r\n"
AROUND = (
    '<script>var a=b?c=d:e;</script><script>\n      window.templateArgs = {}\n      window.theme = "light"\n</script>'
)


def write_page(figures: dict[str, Any]) -> str:
    return AROUND.replace("{}", json.dumps(figures).replace("<", "\\u003c"))


def make_account(**files: str | None) -> load_account.LoadAccount:
    """The account of a task as it is read from the lines of its program."""
    account = load_account.LoadAccount()
    account.note_beat(1_772_000_000.0)
    account.kept = {name.replace("_", "."): content for name, content in files.items()}
    read = load_account.LoadAccount()
    read.add_line(json.dumps(account.to_value()).encode())
    assert read.bad_lines == 0
    return read


def build(*accounts: load_account.LoadAccount, kinds: tuple[str, ...] = ("csv", "html")) -> Any:
    return keeping.build_document(
        dict(enumerate(accounts)), kept_files.list_names(kinds), REDACTOR, execution_id="run", scope="scope"
    ).document()


def test_a_file_is_kept_whole_with_its_digest_and_without_secrets() -> None:
    document = build(make_account(stats_csv=TABLE), kinds=("csv",))

    (stats,) = document["files"]
    assert stats["text"] == "Method,Name\nGET,/search?***\nPOST,***\n"
    assert (stats["shard_index"], stats["name"], stats["media_type"]) == (0, "stats.csv", "text/csv")
    assert stats["sha256"] == canonical.digest(stats["text"].encode())
    assert stats["size"] == len(stats["text"])
    assert [(left["name"], left["why"]) for left in document["left_out"]] == [
        ("failures.csv", "the task ended before Locust could write it"),
        ("exceptions.csv", "the task ended before Locust could write it"),
    ]


def test_a_page_loses_secrets_in_its_figures_and_nothing_of_its_program() -> None:
    page = write_page({"host": f"http://u:{SECRET}@h", "rows": [{"name": "</script><b>", "calls": 3}]})

    (kept,) = build(make_account(report_html=page), kinds=("html",))["files"]

    assert SECRET not in kept["text"]
    before, figures = kept["text"].split("window.templateArgs = ")
    assert before == AROUND.split("window.templateArgs")[0]
    assert figures.count("</script>") == 1
    assert json.loads(figures.split("\n")[0]) == {
        "host": "http://***@h",
        "rows": [{"name": "</script><b>", "calls": 3}],
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("<html>no figures</html>", "no page as Locust writes it", id="another page"),
        pytest.param(AROUND.replace("{}", "{broken}"), "no page as Locust writes it", id="figures that are none"),
        pytest.param("x" * (kept_files.LONGEST + 1), f"more than {kept_files.LONGEST} bytes", id="too long"),
        pytest.param(None, f"more than {kept_files.LONGEST} bytes", id="too long for its task"),
    ],
)
def test_what_cannot_be_kept_is_left_out_and_said(content: str | None, why: str) -> None:
    document = build(make_account(report_html=content), kinds=("html",))

    assert document["files"] == []
    assert why in document["left_out"][0]["why"]


def test_all_files_together_have_a_bound() -> None:
    page = write_page({}) + "x" * (kept_files.LONGEST - 1000)
    document = build(*(make_account(report_html=page) for _ in range(10)), kinds=("html",))

    assert sum(kept["size"] for kept in document["files"]) <= keeping.MOST_BYTES
    assert [kept["shard_index"] for kept in document["files"]] == list(range(8))
    assert ["would be over" in left["why"] for left in document["left_out"]] == [True, True]


@pytest.mark.parametrize("file", ["stats.csv", "report.html"])
def test_a_text_that_is_very_long_is_cut_before_it_is_cleaned(file: str) -> None:
    """To clean it whole would take hours."""
    text = "x" * 100_000
    account = make_account(stats_csv=f"Name,{text}\r\n", report_html=write_page({"host": text}))

    kept = {entry["name"]: entry["text"] for entry in build(account)["files"]}

    assert text[: keeping.LONGEST_CELL - 1] in kept[file]
    assert text[: keeping.LONGEST_CELL] not in kept[file]


def test_a_table_that_is_none_is_left_out() -> None:
    document = build(make_account(stats_csv="x" * 200_000), kinds=("csv",))

    assert "it is no table" in document["left_out"][0]["why"]


@pytest.mark.parametrize("name", ["../plan.json", "stats.csv.exe", "", "x/stats.csv", "12345.stats.csv"])
def test_a_file_of_another_name_makes_a_line_of_an_account_a_bad_one(name: str) -> None:
    account = load_account.LoadAccount()
    value = load_account.LoadAccount().to_value() | {"kept": {name: "text"}}

    account.add_line(json.dumps(value).encode())

    assert (account.bad_lines, account.kept) == (1, {})


def test_each_process_of_a_task_has_files_of_its_own() -> None:
    names = kept_files.list_names(("html",), processes=2)

    assert names == ("0.report.html", "1.report.html")
    assert kept_files.read(dict.fromkeys(names, "x")) == dict.fromkeys(names, "x")
