"""Compiled templates are kept where Python keeps its bytecode, and nothing rests on them."""

import sys
from pathlib import Path

import jinja2
import pytest

from burst.report import compiled_templates

GREETING = "hello {{ who }}"


class CompilesNothing(jinja2.Environment):
    """An environment that has to find its templates compiled."""

    def _generate(self, *_: object, **__: object) -> str:
        raise AssertionError("a template was compiled")


@pytest.fixture
def module_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module whose bytecode Python would keep in a folder of this test."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "bytecode"))
    return tmp_path / "package" / "module.py"


def _greet(
    module_file: Path,
    source: str = GREETING,
    kind: type[jinja2.Environment] = jinja2.Environment,
    *,
    trim_blocks: bool = False,
) -> str:
    environment = kind(loader=jinja2.DictLoader({"greeting": source}), autoescape=True, trim_blocks=trim_blocks)
    environment.bytecode_cache = compiled_templates.find_cache(str(module_file), environment)
    return environment.get_template("greeting").render(who="you")


def _list_kept(module_file: Path) -> list[Path]:
    return sorted(path for path in module_file.parents[1].rglob("*") if path.is_file())


def test_a_template_is_compiled_once(module_file: Path) -> None:
    assert _greet(module_file) == _greet(module_file, kind=CompilesNothing) == "hello you"
    assert len(_list_kept(module_file)) == 1


@pytest.mark.parametrize(
    ("source", "trim_blocks", "greeting"),
    [("hi {{ who }}", False, "hi you"), (GREETING, True, "hello you")],
    ids=["another source", "other options"],
)
def test_what_was_kept_of_another_template_is_not_used(
    module_file: Path, source: str, trim_blocks: bool, greeting: str
) -> None:
    _greet(module_file)

    with pytest.raises(AssertionError, match="compiled"):
        _greet(module_file, source, CompilesNothing, trim_blocks=trim_blocks)

    assert _greet(module_file, source, trim_blocks=trim_blocks) == greeting


@pytest.mark.parametrize("kept", [b"", b"j2", b"\x80\x05nonsense"], ids=["empty", "torn", "of something else"])
def test_a_kept_file_that_does_not_read_is_made_anew(module_file: Path, kept: bytes) -> None:
    _greet(module_file)
    (path,) = _list_kept(module_file)
    whole = path.read_bytes()
    path.write_bytes(kept)

    assert _greet(module_file) == "hello you"
    assert path.read_bytes() == whole


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_file_that_is_torn_anywhere_is_made_anew(module_file: Path, share: float) -> None:
    _greet(module_file)
    (path,) = _list_kept(module_file)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    assert _greet(module_file) == "hello you"
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_keeps_nothing(module_file: Path) -> None:
    (module_file.parents[1] / "bytecode").write_text("a file in the place of the folder")

    assert _greet(module_file) == "hello you"


def test_nothing_is_kept_where_python_keeps_no_bytecode(module_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert _greet(module_file) == "hello you"

    monkeypatch.setattr(sys.implementation, "cache_tag", None)
    assert _greet(module_file) == "hello you"
    assert _list_kept(module_file) == []
