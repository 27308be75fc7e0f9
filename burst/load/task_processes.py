"""The processes of a task: which part of the load each carries, and what each learns from its environment.

Process p of n in shard s of t carries part p*t + s of n*t. Every event k with k % (n*t) == p*t + s has k % t == s, so
the parts of a task add up to exactly its shard, and those of all tasks to the whole.

In a distributed burst Locust's own master runs beside the processes of shard 0, and sends no load. The guard gives each
process its role; `locust_start` makes options of Locust of it.
"""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROCESSES = "BURST_PROCESSES"
"""How many processes a task has, and which topology the burst has: read by the guard, and no process of it."""
TOPOLOGY = "BURST_TOPOLOGY"
INDEPENDENT, DISTRIBUTED = "independent", "distributed"
MASTER_PORT = "BURST_MASTER_PORT"
"""The port of the master; 0 lets the system choose one that is free."""
LOCUST_PORT = 5557
MASTER_BIND = "BURST_MASTER_BIND"
"""The address on which the master listens; every one unless said."""
MASTER_SHARD = 0
"""The shard beside which the master runs."""
MOST_PROCESSES = 64

PROCESS_INDEX = "BURST_PROCESS_INDEX"
PROCESS_COUNT = "BURST_PROCESS_COUNT"
ROLE = "BURST_ROLE"
MASTER, WORKER = "master", "worker"
MASTER_FILE = "BURST_MASTER_FILE"
"""Where a master writes its port and version, once workers can reach it."""
MASTER_ADDRESS = "BURST_MASTER_ADDRESS"
MASTER_VERSION = "BURST_MASTER_VERSION"
WORKER_COUNT = "BURST_WORKER_COUNT"
LAST_REPORTS = "BURST_LAST_REPORTS_SECONDS"
"""How long a master that ends may wait for the last reports of its workers."""
_DOCUMENTS = ("--csv", "--html", "--json-file")
"""Options of Locust that name a document, each with a value."""


def find_part(shard_index: int, shard_count: int, process_index: int) -> int:
    """The part of the load that one process of a task carries."""
    return process_index * shard_count + shard_index


def read_index(environment: Mapping[str, str]) -> int | None:
    """Which process of its task this is, by its environment; None for the only one."""
    index = environment.get(PROCESS_INDEX)
    return None if index is None else int(index)


def split_whole(whole: int, index: int, count: int) -> int:
    """One of so many shares of a whole number; together they are the whole."""
    each, remainder = divmod(whole, count)
    return each + (index < remainder)


def split_own(whole: int, environment: Mapping[str, str]) -> int:
    """This process's share of a whole number of its task, by its environment."""
    return split_whole(whole, read_index(environment) or 0, int(environment.get(PROCESS_COUNT, "1")))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMaster:
    """What a master tells the guard beside it, once it can be reached."""

    port: int
    version: str


def write_master(master: OpenMaster) -> str:
    """As text for the guard."""
    return json.dumps({"port": master.port, "version": master.version})


def read_master(text: str) -> OpenMaster:
    """From its text. Raises ValueError for one that makes no sense."""
    try:
        value = json.loads(text)
        return OpenMaster(port=int(value["port"]), version=str(value["version"]))
    except (KeyError, TypeError) as exc:
        raise ValueError(f"{text[:80]!r} is no master") from exc


def list_options(environment: Mapping[str, str]) -> list[str]:
    """The options of Locust for the role of this process; none for one that is independent."""
    role = environment.get(ROLE)
    if role == MASTER:
        port, host = environment.get(MASTER_PORT) or str(LOCUST_PORT), environment.get(MASTER_BIND) or "*"
        listens = ("--master-bind-host", host, "--master-bind-port", port)
        return ["--master", *listens, "--expect-workers", environment[WORKER_COUNT]]
    if role == WORKER:
        host, _, port = environment[MASTER_ADDRESS].rpartition(":")
        return ["--worker", "--master-host", host, "--master-port", port]
    return []


def fit_words(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The words of Locust's command line as they are for this process.

    Several independent processes share users and spawn rate of their task, and each writes documents of its own name. A
    master gives each worker its users, and writes the documents of all: workers write none.
    """
    if environment.get(ROLE) == WORKER:
        return _leave_documents_out(words)
    count, index = int(environment.get(PROCESS_COUNT, "1")), int(environment.get(PROCESS_INDEX, "0"))
    if count == 1 or ROLE in environment:
        return list(words)
    shared = list(words)
    for position, (option, value) in enumerate(itertools.pairwise(("", *words))):
        name, has_value, own = value.partition("=")
        if has_value and name in _DOCUMENTS:
            shared[position] = f"{name}={_number_document(own, index)}"
        elif option in _DOCUMENTS:
            shared[position] = _number_document(value, index)
        elif option == "-u":
            shared[position] = str(split_whole(int(value), index, count))
        elif option == "-r":
            shared[position] = f"{float(value) / count:g}"
    return shared


def _number_document(name: str, index: int) -> str:
    """The name of a document with the number of its process before the ending: `report.1.html`."""
    path = pathlib.PurePath(name)
    return str(path.with_name(f"{path.stem}.{index}{path.suffix}"))


def _leave_documents_out(words: Sequence[str]) -> list[str]:
    kept, skips = list[str](), False
    for word in words:
        option, has_value, _ = word.partition("=")
        if skips:
            skips = False
        elif option in _DOCUMENTS:
            skips = not has_value
        elif option != "--csv-full-history":
            kept.append(word)
    return kept


def explain_other_version(environment: Mapping[str, str], version: str) -> str:
    """Why a worker may not join its master; empty where it may."""
    masters = environment.get(MASTER_VERSION, version)
    if environment.get(ROLE) != WORKER or masters == version:
        return ""
    return f"the master runs {masters} and this worker {version}: give all tasks the same image, pinned by its digest"


def describe(environment: Mapping[str, Any]) -> str:
    """A process in words, as a guard names the one that ended; empty for the only one of a task."""
    role, count = environment.get(ROLE, "process"), int(environment.get(PROCESS_COUNT, "1"))
    if role == MASTER:
        return "the master"
    if count > 1:
        return f"{role} {int(environment[PROCESS_INDEX]) + 1} of {count}"
    return "the worker" if role == WORKER else ""
