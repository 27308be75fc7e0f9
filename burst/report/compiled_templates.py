"""Compiled templates: kept beside the bytecode that Python keeps of this package, and trusted as that is.

Compiling takes longer than all else that `burst verify` does with a report. Whoever may write these files may write
Python's own bytecode too. Nothing is kept where Python keeps none: where `PYTHONDONTWRITEBYTECODE` is set, or where the
folder may not be written.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

import jinja2

_OPTIONS = ("autoescape", "trim_blocks", "lstrip_blocks", "keep_trailing_newline", "newline_sequence", "optimized")
"""What a compiled template depends on, beside its source."""


def find_cache(module_file: str, environment: jinja2.Environment) -> jinja2.BytecodeCache | None:
    """Where a module's templates are kept, beside its own bytecode; None with a Python that keeps no bytecode."""
    try:
        folder = Path(importlib.util.cache_from_source(module_file)).parent
    except NotImplementedError:
        return None
    options = [(name, getattr(environment, name)) for name in _OPTIONS]
    name = hashlib.sha256(repr((jinja2.__version__, sys.implementation.cache_tag, options)).encode()).hexdigest()[:16]
    return _BesideBytecode(str(folder), f"%s.{name}.j2c")


class _BesideBytecode(jinja2.FileSystemBytecodeCache):
    """A cache that is as good as empty where its files cannot be read or written."""

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except Exception:  # a torn file raises whatever its bytes make of it
            bucket.reset()

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        try:
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)
        except OSError:
            return
