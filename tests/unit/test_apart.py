"""Every test file in a pytest of its own."""

import os
from pathlib import Path

import pytest

from tests import apart

FILES = {
    "leaves": "import os\ndef test(): os.environ['LEFT'] = 'by another file'\n",
    "needs": "import os\ndef test(): assert os.environ['LEFT'] == 'by another file'\n",
    "rate": f"import pytest\n@pytest.mark.{apart.ALONE}\ndef test(): pass\n",
}


def test_a_file_that_needs_what_another_leaves_fails_and_what_measures_a_rate_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone: by itself\n")
    for name, text in FILES.items():
        (tmp_path / f"test_{name}.py").write_text(text)

    code = apart.main([str(tmp_path), "--no-header"])

    shown = capsys.readouterr().out
    ended = [line.split()[0::3] for line in shown.splitlines() if line.endswith(".py") and " s  " in line]
    needs, rate = (os.path.relpath(tmp_path / f"test_{name}.py", apart.ROOT) for name in ("needs", "rate"))
    assert code == 1
    assert "KeyError: 'LEFT'" in shown
    assert [name for outcome, name in ended if outcome == "FAILED"] == [needs]
    assert (len(ended), ended[-1]) == (4, ["passed", rate])
    assert shown.endswith(f"1 of 3 files failed\n  {needs}\n")


def test_a_place_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="name files or folders of tests"):
        apart.list_files([tmp_path / "none"])
