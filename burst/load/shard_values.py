"""Per-shard values: variables that each task of a burst has its own value of, such as the host that it sends to.

They reach every task as one text, `BURST_PER_SHARD`, because a task may learn only after its start which shard it is.
The guard then gives the program the values of its shard. `HOST` is the program's own host.
"""

import json
from collections.abc import Mapping, Sequence

PER_SHARD = "BURST_PER_SHARD"
HOST = "HOST"
HOST_VARIABLES = ("BURST_HOST", "LOCUST_HOST")
INDEX = "{index}"
"""Stands in a template for the number of the shard, from 0."""

PerShard = Mapping[str, str | Sequence[str]]
"""By the name of a variable, a value for each shard, or one template of the index."""


def choose_values(values: PerShard, shard_index: int) -> dict[str, str]:
    """The values of one shard, by name. Raises IndexError where a list has none for it."""
    return {
        name: value.replace(INDEX, str(shard_index)) if isinstance(value, str) else value[shard_index]
        for name, value in values.items()
    }


def write_values(values: PerShard) -> str:
    """All values as the text that every task has."""
    return json.dumps({name: value if isinstance(value, str) else list(value) for name, value in values.items()})


def read_variables(environment: Mapping[str, str], shard_index: int) -> dict[str, str]:
    """The variables of one shard by the environment of its task; none where it has no per-shard values."""
    text = environment.get(PER_SHARD)
    chosen = choose_values(json.loads(text), shard_index) if text else {}
    hosts = dict.fromkeys(HOST_VARIABLES, chosen.pop(HOST)) if HOST in chosen else {}
    return {**chosen, **hosts}
