"""Promotions through the command line: from folders of runs whose evidence holds to a document that derives again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burst import evidence
from burst.cli import main
from burst.domain.basics import canonical, errors
from burst.domain.verdict import baselines, promotions
from tests import cases, promoting, waiting
from tests.evidence import evidencing
from tests.fixtures_aws import Cloud

Shown = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    """`burst` within this process, for speed."""
    return main.main([str(word) for word in arguments])


ELAPSED = "snapshot:/runtime_budget/elapsed_seconds"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "promotions" / "p95.json"


def test_five_runs_that_drift_by_8_percent_are_refused_though_their_spread_is_small_enough(
    runs: Path, file: Path, capsys: Shown
) -> None:
    block = promoting.make_block(runs, promoting.DRIFT)

    code = run("baseline", "promote", *block, "-o", file)
    shown = capsys.readouterr().out
    value = json.loads(file.read_bytes())

    assert code == 3
    assert value["decision"] == "REFUSED"
    assert value["figures"]["cv"] == pytest.approx(0.1215, abs=5e-5)
    assert [reason["rule"] for reason in value["reasons"]] == ["range", "trend"]
    assert "cv 0.1215 (true one up to 0.294), max/min 1.36, trend p 0.01667" in shown
    assert run("verify", file, "--runs-dir", runs) == 3


def test_five_runs_that_are_alike_promote_and_the_promotion_derives_again(
    runs: Path, file: Path, capsys: Shown
) -> None:
    block = promoting.make_block(runs, promoting.STEADY)

    assert run("baseline", "promote", *block, "-o", file) == 0
    digest = canonical.digest(file.read_bytes())
    assert f"promoted_by: {digest}" in capsys.readouterr().out
    assert run("verify", file, "--runs-dir", runs, "--json") == 0
    assert json.loads(capsys.readouterr().out)["promotion"]["decision"] == "PROMOTED"


def test_the_same_runs_in_any_order_give_the_same_file_and_another_is_never_overwritten(
    runs: Path, file: Path, capsys: Shown
) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    assert run("baseline", "promote", *block, "-o", file) == 0
    first = file.read_bytes()

    assert run("baseline", "promote", *reversed(block), "-o", file) == 0
    assert "left as it is" in capsys.readouterr().err
    assert run("baseline", "promote", *block, "--measure", "rate", "-o", file) == 2
    assert file.read_bytes() == first


def test_a_run_that_was_left_out_is_named(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, (*promoting.STEADY, 102_000))
    del block[2]

    assert run("baseline", "promote", *block, "-o", file) == 3
    assert f"lie between them: {promoting.name_run(3)}" in capsys.readouterr().out


def test_a_run_that_held_or_never_committed_breaks_the_streak(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY, first=2)
    promoting.make_run(runs, 1, 100_000)
    assert run("baseline", "promote", *block, "-o", file) == 3
    assert "1 run of the same streak came before it" in capsys.readouterr().out

    (runs / promoting.name_run(1) / promoting.SNAPSHOT).unlink()
    assert run("baseline", "promote", *block, "-o", file.with_name("second.json")) == 0
    (runs / promoting.name_run(4) / promoting.SNAPSHOT).unlink()
    assert run("baseline", "promote", *block, "-o", file.with_name("third.json")) == 7
    assert not file.with_name("third.json").exists()


def test_a_run_on_hold_is_in_no_block(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY[:4])
    block.append(promoting.make_run(runs, 5, 100_500, admits=10))

    assert run("baseline", "promote", *block, "-o", file) == 3
    assert f"not a PASS: {promoting.name_run(5)}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        pytest.param({"gates": {"multiplier": 2.0, "admit_ratio": 0.995}}, "contract", "2 contracts", id="terms"),
        pytest.param({"environment": "dev"}, "setting", "differ in environment", id="environment"),
        pytest.param({"load": {"command": ["push-more"]}}, "setting", "differ in load.command", id="program"),
    ],
)
def test_a_run_of_other_terms_or_of_another_setting_is_no_run_of_the_block(
    runs: Path, file: Path, changes: cases.Value, rule: str, words: str, capsys: Shown
) -> None:
    block = promoting.make_block(runs, promoting.STEADY[:4])
    block.append(promoting.make_run(runs, 5, 103_000, **changes))

    assert run("baseline", "promote", *block, "-o", file) == 3
    assert rule in [reason["rule"] for reason in json.loads(file.read_bytes())["reasons"]]
    assert words in capsys.readouterr().out


def test_evidence_that_does_not_hold_promotes_nothing(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    load = block[2] / "m10_f_load.json"
    load.write_bytes(load.read_bytes().replace(b"99000", b"98000"))

    assert run("baseline", "promote", *block, "-o", file) == 8
    assert promoting.name_run(3) in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--measure", "p95"], id="no such measure"),
        pytest.param(["--measure", "snapshot:/cost/at_cap_usd"], id="a pointer speaks for no gate"),
        pytest.param(["--measure", "rate", "--gate", "latency_p95_ms"], id="a measure speaks for its own gate"),
        pytest.param(["--measure", ELAPSED, "--gate", "latency_p95_ms"], id="a percentile is promoted by its answers"),
        pytest.param(["--measure", ELAPSED, "--gate", "admit_ratio"], id="a gate that is always required"),
        pytest.param(["--measure", ELAPSED, "--gate", "no_such_gate"], id="no such gate"),
    ],
)
def test_words_that_name_no_measure_are_refused(runs: Path, file: Path, words: list[str], capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY)

    assert run("baseline", "promote", *block, *words, "-o", file) == 2
    assert run("baseline", "promote", *block[:4], "-o", file) == 2
    assert "name exactly 5 runs" in capsys.readouterr().err


def test_a_pointer_and_the_rate_are_measures_too(runs: Path, file: Path) -> None:
    admits = (19_000, 19_300, 18_950, 19_100, 19_200)
    block = [promoting.make_run(runs, number, 100_000, admits=one) for number, one in enumerate(admits, start=1)]

    rate = evidence.promote(block, measure="rate")
    pointed = evidence.promote(
        block, measure="snapshot:/burst_load_checks/achieved_multiplier/value", gate="multiplier_lower"
    )

    assert [run.value for run in rate.runs] == pytest.approx([number / 15 for number in admits])
    assert rate.promoted
    assert pointed.promoted
    assert pointed.figures is not None
    assert rate.figures is not None
    assert pointed.figures.cv == pytest.approx(rate.figures.cv)


def test_a_promotion_that_another_block_gave_is_refuted_and_one_without_its_runs_cannot_be_told(
    runs: Path, file: Path, tmp_path: Path, capsys: Shown
) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    assert run("baseline", "promote", *block, "-o", file) == 0
    value = json.loads(file.read_bytes())
    value["setting"]["environment"] = "prod"
    forged = file.with_name("forged.json")
    forged.write_bytes(canonical.encode(value))

    assert run("verify", forged, "--runs-dir", runs) == 8
    assert "differs in setting" in capsys.readouterr().err
    assert run("verify", file, "--runs-dir", tmp_path / "nowhere") == 9
    assert run("verify", file, "--runs", tmp_path / "nowhere", "--runs", runs) == 0


def test_places_on_s3_hold_a_block_as_folders_do(cloud: Cloud, file: Path) -> None:
    place = f"{cloud.place}/control"
    block = []
    for number, p95_us in enumerate(promoting.STEADY, start=1):
        documents = evidencing.published(promoting.make_case(number, p95_us))
        block.append(evidencing.on_s3(cloud.s3, f"{place}/{promoting.name_run(number)}", documents))

    assert run("baseline", "promote", *block, "-o", file) == 0
    assert run("verify", file, "--runs", place) == 0


def test_a_signature_is_over_the_promotion_and_each_snapshot(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    key = file.with_name("key.pem")
    assert run("evidence", "keygen", "-o", key) == 0
    public = file.with_name("key.pem.pub")

    assert run("baseline", "promote", *block, "-o", file, "--sign", f"file:{key}") == 0
    assert run("baseline", "promote", *block, "-o", file, "--sign", f"file:{key}") == 0
    required = ("--require-signature", "--key", public, "--runs-dir", runs)
    assert run("verify", file, *required) == 0
    second = file.with_name("unsigned.json")
    second.write_bytes(file.read_bytes())
    assert run("verify", second, *required) == 8
    other = file.with_name("other.json")
    assert run("baseline", "promote", *block, "--measure", "latency_p99", "-o", other) == 0
    other.with_name("other.json.dsse.json").write_bytes(file.with_name("p95.json.dsse.json").read_bytes())
    assert run("verify", other, "--runs-dir", runs) == 8


def test_a_demotion_names_its_promotion_and_is_written_once(runs: Path, file: Path, capsys: Shown) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    demotion = file.with_name("demotion.json")
    assert run("baseline", "promote", *block, "-o", file) == 0

    assert run("baseline", "demote", file, "--reason", "the gateway was replaced", "-o", demotion) == 0
    made = promotions.read_demotion(demotion.read_bytes())
    assert made.promotion_sha256 == canonical.digest(file.read_bytes())
    assert run("baseline", "demote", file, "--reason", "the gateway was replaced", "-o", demotion) == 0
    assert "left as it is" in capsys.readouterr().err
    assert run("baseline", "demote", file, "--reason", "another", "-o", demotion) == 2
    assert promotions.read_demotion(demotion.read_bytes()) == made
    capsys.readouterr()
    assert run("verify", demotion) == 0
    assert f"(promotion {made.promotion_sha256[:12]}): the gateway was replaced" in capsys.readouterr().out
    demotion.write_bytes(demotion.read_bytes() + b" ")
    assert run("verify", demotion) == 8


def test_what_was_refused_cannot_be_demoted(runs: Path, file: Path) -> None:
    block = promoting.make_block(runs, promoting.DRIFT)
    assert run("baseline", "promote", *block, "-o", file) == 3

    with pytest.raises(errors.UsageError, match="nothing to demote"):
        promotions.make_demotion(file.read_bytes(), "because", cases.STARTED)
    assert run("baseline", "demote", file, "--reason", "because", "-o", file.with_name("d.json")) == 2


def test_a_baseline_of_several_runs_keeps_each_rate(runs: Path, tmp_path: Path, capsys: Shown) -> None:
    admits = (19_000, 19_400, 18_900)
    block = [promoting.make_run(runs, number, 100_000, admits=one) for number, one in enumerate(admits, start=1)]
    target = tmp_path / "m10_f.json"

    assert run("baseline", "make", *reversed(block), "-o", target) == 0
    document = baselines.read(target.read_bytes())

    assert "from 3 runs up to m10_20260203T020923Z_000003" in capsys.readouterr().out
    assert (document.admits, document.seconds) == (sum(admits), 2700.0)
    assert document.runs is not None
    assert [share.admits for share in document.runs] == list(admits)
    assert document.environment["environment"] == "ci"
    assert run("baseline", "verify", target) == 0


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        pytest.param({"load": {"command": ["push-more"]}}, 4, "another phase or setting", id="another program"),
        pytest.param({"admits": 10}, 4, "it is on HOLD", id="a run that held"),
    ],
)
def test_a_baseline_is_made_of_runs_that_are_alike_alone(
    runs: Path, tmp_path: Path, changes: cases.Value, code: int, words: str, capsys: Shown
) -> None:
    first, second = promoting.make_run(runs, 1, 100_000), promoting.make_run(runs, 2, 100_000, **changes)

    assert run("baseline", "make", first, second, "-o", tmp_path / "b.json") == code
    assert words in capsys.readouterr().err
    assert run("baseline", "make", first, first, "-o", tmp_path / "b.json") == 2
    assert not (tmp_path / "b.json").exists()


LIGHT = """
import sys
from burst.cli import main
codes = [main.main(words.split()) for words in sys.argv[1:]]
print(codes, "scipy" in sys.modules)
"""


def test_statistics_are_loaded_where_a_figure_needs_them_alone(runs: Path, tmp_path: Path) -> None:
    folder = promoting.make_run(runs, 1, 100_000)
    words = [f"verify {folder}", f"baseline make {folder} -o {tmp_path / 'b.json'}", "schema promotion"]

    asked = subprocess.run(
        [sys.executable, "-c", LIGHT, *words], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS
    )

    assert asked.stdout.splitlines()[-1] == "[0, 0, 0] False", asked.stderr


def test_a_run_whose_folder_is_gone_is_left_out_as_its_attempt_says(runs: Path, file: Path, capsys: Shown) -> None:
    block = [
        promoting.make_run(
            runs,
            number,
            p95_us,
            attempt=cases.attempt([promoting.earlier(before) for before in range(1, number)]),
        )
        for number, p95_us in enumerate((*promoting.STEADY, 102_000), start=1)
    ]
    assert run("baseline", "promote", *block[:5], "-o", file) == 0
    shutil.rmtree(block[2])

    assert run("baseline", "promote", *block[:2], *block[3:], "-o", file.with_name("second.json")) == 3
    assert f"lie between them: {promoting.name_run(3)}" in capsys.readouterr().out
    assert run("verify", file, "--runs-dir", runs) == 9


WITHOUT = """
import sys
sys.modules["scipy"] = None
from burst.cli import main
print([main.main(words.split()) for words in sys.argv[1:]])
"""


def test_without_the_extra_a_verdict_is_reached_and_a_promotion_says_what_is_missing(runs: Path, file: Path) -> None:
    block = promoting.make_block(runs, promoting.STEADY)
    names = " ".join(map(str, block))
    words = [f"verify {block[0]}", f"baseline promote {names} -o {file}"]

    asked = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS
    )

    assert asked.stdout.splitlines()[-1] == "[0, 2]", asked.stderr
    assert "pip install 'burst[statistics]'" in asked.stderr
    assert not file.exists()
