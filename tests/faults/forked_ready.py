"""What every command of burst makes when it is first needed, made once in the process that they are forked from.

Modules, pydantic's validators, events' adapters and compiled templates: half a second of processor time in each of the
thousand commands of these tests. Their start as a program, with nothing ready, is what `tests/acceptance` shows.
"""

import gc
import importlib
import pkgutil
from collections.abc import Iterator

import pydantic

from burst import adapters, cli, control, evidence, report, wiring
from burst.domain.run.events import codec
from burst.report import pages


def _list_models(parent: type[pydantic.BaseModel]) -> Iterator[type[pydantic.BaseModel]]:
    for model in parent.__subclasses__():
        yield model
        yield from _list_models(model)


for _room in (adapters, cli, control, evidence, report, wiring):  # what commands import when they are asked for
    for _module in pkgutil.iter_modules(_room.__path__, f"{_room.__name__}."):
        importlib.import_module(_module.name)
for _model in set(_list_models(pydantic.BaseModel)):
    if _model.__module__.startswith("burst."):
        _model.model_rebuild()
for _name in codec.EVENTS:
    codec.adapter(_name)
for _name in pages.list_templates():
    pages.find_template(_name)
gc.freeze()  # a fork that looks at none of this for garbage shares its memory
