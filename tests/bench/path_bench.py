"""Which files `burst run` enters on its way to RunTask, and which calls on that way go back up a layer.

An ECS plan is run against a simulated AWS, a Postgres and a gateway, in a fresh process under a profiler. It counts
calls and returns from the call of the command `run` until botocore is about to send RunTask; there the run is ended,
and no task is started.

The layers are those of the contract `layers` in `.importlinter`. A call goes back up a layer where the called function
lies in a higher layer than the function of burst that calls it, directly or through a library: a function that is
handed down and called from below is such a call. Not counted are the import of a module, the second and later values of
a generator, and methods that have no file, as the `__init__` of a dataclass.

`main_thread` is the way itself. Preflight asks each check on a thread of its own, and the heartbeat has one too: their
figures stand apart. `python -m tests.bench.path_bench` prints all of it as text.
"""

import configparser
import contextlib
import functools
import inspect
import itertools
import multiprocessing
import os
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeAlias

import burst
from burst.cli import main
from burst.rehearsal import aws_simulation, bootstrap
from burst.sandbox import embedded_postgres, gateway
from burst.wiring import preparing

ROOT = Path(__file__).parents[2]
PACKAGE = Path(burst.__file__).parent
SECONDS = 120.0
"""How long the way to RunTask may take."""
API_KEY = "bench"
DATABASE_VARIABLE, API_KEY_VARIABLE = "BENCH_DSN", "BENCH_API_KEY"
PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
target:
  kind: ecs
  tasks: 2
  cluster: bench
  task_definition: "bench:1"
  subnets: [subnet-a]
  security_groups: [sg-a]
load:
  command: [python, {sender}]
  waits_for_go: true
  host: {host}
  rate: 1200
  api_key: env:{api_key_variable}
layers: {{require: [guard, sidecar, lease, schedule]}}
budget: {{max: 90m, operator_cap: 20m, min_window: 15m, stop_grace: 1s}}
receipts: {{dsn: env:{database_variable}}}
baseline: {{admits: 300, seconds: 60, source: "a made-up reference"}}
gates: {{multiplier: 2.0, admit_ratio: 0.995}}
evidence: {{local: {runs}, run_control: s3://bench-evidence/rc, run_scoped: s3://bench-evidence/runs}}
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of burst: its file below the package, and its name there."""

    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


Call: TypeAlias = tuple[Function, Function]
"""The function that calls, and the function that is called."""


class Layers:
    """The order of burst's rooms, highest first, as the import contract has it."""

    def __init__(self, file: Path) -> None:
        contracts = configparser.ConfigParser()
        contracts.read_string(file.read_text(), source=str(file))
        contract = contracts["importlinter:contract:layers"]
        self._depths = {
            f"{container}.{room}": depth
            for container in contract["containers"].split()
            for depth, line in enumerate(contract["layers"].strip().splitlines())
            for room in re.findall(r"[\w.]+", line)
        }

    def depth(self, file: str) -> int:
        """How many layers lie above a file of burst. Raises `LookupError` where the contract does not name its room."""
        module = ".".join((PACKAGE.name, *Path(file).with_suffix("").parts))
        parts = module.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length])
            if prefix in self._depths:
                return self._depths[prefix]
        raise LookupError(f"{module} is in no layer of .importlinter; name its room under `layers`")

    def goes_up(self, call: Call) -> bool:
        """Whether the called function lies in a higher layer than the caller."""
        caller, callee = call
        return self.depth(callee.file) < self.depth(caller.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadCalls:
    """The calls of one thread, with how often, in the order of the first; `root` is the first function it entered."""

    root: Function
    calls: dict[Call, int]

    @property
    def files(self) -> list[str]:
        """The files entered, in the order of their first entry."""
        return list(dict.fromkeys([self.root.file, *(callee.file for _, callee in self.calls)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The calls from `burst run` to RunTask. `stack` are the functions under way at RunTask, the innermost last."""

    main: ThreadCalls
    others: list[ThreadCalls]
    stack: list[Function]


class RunTaskReached(BaseException):
    """The run came to RunTask, which is not sent. `stack` are the functions of burst under way."""

    def __init__(self, stack: list[Function]) -> None:
        super().__init__("RunTask")
        self.stack = stack


@functools.cache
def find_function(code: CodeType) -> Function | None:
    """The function of burst that was compiled to `code`; None for code that is not burst's."""
    if not code.co_filename.startswith(f"{PACKAGE}{os.sep}"):
        return None
    line = f" in line {code.co_firstlineno}" if code.co_name in ("<lambda>", "<genexpr>") else ""
    return Function(Path(code.co_filename).relative_to(PACKAGE).as_posix(), f"{code.co_qualname}{line}")


class Profiler:
    """Counts the calls between functions of burst on one thread, from a function that `begins_at` agrees to."""

    def __init__(self, begins_at: Callable[[Function], bool]) -> None:
        self._begins_at = begins_at
        self._root: Function | None = None
        self._calls: Counter[Call] = Counter()
        self._stack: list[tuple[FrameType, Function | None]] = []
        """Burst's frames under way; without a function for those of an import."""
        self._generators: set[FrameType] = set()

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        """Takes one event of `sys.setprofile`. Raises `RunTaskReached` at the call of RunTask."""
        if event == "call":
            if _calls_run_task(frame):
                raise RunTaskReached([function for _, function in self._stack if function is not None])
            self._enter(frame)
        elif event == "return":
            self._leave(frame)

    def result(self) -> ThreadCalls | None:
        """The calls counted so far; None where the thread has not begun."""
        return None if self._root is None else ThreadCalls(root=self._root, calls=dict(self._calls))

    def _enter(self, frame: FrameType) -> None:
        function = find_function(frame.f_code)
        if function is None:
            return
        caller = self._stack[-1][1] if self._stack else None
        if function.name == "<module>" or (self._stack and caller is None):
            self._stack.append((frame, None))
            return
        if caller is None:
            if not self._begins_at(function):
                return
            self._root = self._root or function
        elif frame not in self._generators:
            self._calls[caller, function] += 1
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            self._generators.add(frame)  # entered again for each of its values
        self._stack.append((frame, function))

    def _leave(self, frame: FrameType) -> None:
        for index in reversed(range(len(self._stack))):
            if self._stack[index][0] is frame:
                del self._stack[index:]
                return


def _calls_run_task(frame: FrameType) -> bool:
    code = frame.f_code
    if code.co_name != "_make_api_call" or not code.co_filename.endswith(os.path.join("botocore", "client.py")):
        return False
    return bool(frame.f_locals["operation_name"] == "RunTask")


class OtherThreads:
    """Gives each thread that is started a profiler of its own, until `over`."""

    def __init__(self) -> None:
        self.over = False
        self._profilers: list[Profiler] = []
        self._own = threading.local()

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        """Takes one event of `threading.setprofile`."""
        if self.over:
            return
        if not hasattr(self._own, "profiler"):
            self._own.profiler = Profiler(lambda _: True)
            self._profilers.append(self._own.profiler)
        self._own.profiler.profile(frame, event, argument)

    def results(self) -> list[ThreadCalls]:
        """The calls of each thread that entered burst."""
        return [calls for profiler in self._profilers if (calls := profiler.result()) is not None]


def _is_command(function: Function) -> bool:
    return function.file.startswith("cli/") and function.name == "run"


def _profile_run(pipe: connection.Connection, plan_file: Path) -> None:
    """Runs the plan in this process as far as RunTask, and sends the measurement or why there is none."""
    main_thread, other_threads = Profiler(_is_command), OtherThreads()
    threading.setprofile(other_threads.profile)
    sys.setprofile(main_thread.profile)
    try:
        exit_code = main.main(["run", str(plan_file), "--json", "--quiet"])
    except RunTaskReached as reached:
        calls = main_thread.result()
        assert calls is not None
        pipe.send(Measurement(main=calls, others=other_threads.results(), stack=reached.stack))
    else:
        pipe.send(f"burst run ended with exit {exit_code} before RunTask; stderr says why")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        other_threads.over = True


@contextlib.contextmanager
def _set_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process, and puts back the earlier ones at the end."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def measure() -> Measurement:
    """The calls from `burst run` to RunTask. Raises `RuntimeError` where the run ends before RunTask."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dsn = stack.enter_context(embedded_postgres.start(durable=False)).create_database()
        embedded_postgres.apply_schema(dsn)
        url = stack.enter_context(gateway.start(dsn=dsn, api_key=API_KEY)).url
        aws = stack.enter_context(aws_simulation.start(folder / "aws"))
        secrets = {DATABASE_VARIABLE: embedded_postgres.read_only_dsn(dsn), API_KEY_VARIABLE: API_KEY}
        stack.enter_context(_set_environment(secrets | aws.environment))
        plan_file = folder / "plan.yaml"
        sender, runs = ROOT / "locustfiles" / "sender.py", folder / "runs"
        names = {"database_variable": DATABASE_VARIABLE, "api_key_variable": API_KEY_VARIABLE}
        plan_file.write_text(PLAN.format(sender=sender, host=url, runs=runs, **names))
        plan = preparing.read_plan(preparing.RunRequest(plan_file=plan_file))
        bootstrap.furnish_account(plan, python=sys.executable, api_key=API_KEY)
        return _measure_in_fresh_process(plan_file)


def _measure_in_fresh_process(plan_file: Path) -> Measurement:
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_profile_run, args=(sending, plan_file))
    process.start()
    sending.close()
    try:
        if not receiving.poll(SECONDS):
            raise RuntimeError(f"burst run did not come to RunTask within {SECONDS:g} s")
        result = receiving.recv()
        process.join(SECONDS)
    finally:
        process.kill()
        process.join()
        receiving.close()
    if not isinstance(result, Measurement):
        raise RuntimeError(str(result))
    return result


def _count_calls(layers: Layers, files: Sequence[str], calls: Mapping[Call, int]) -> dict[str, int]:
    """Of some calls: the files entered, and the calls back up a layer as pairs of functions and one by one."""
    upward_calls = {call: times for call, times in calls.items() if layers.goes_up(call)}
    return {
        "files_entered": len(files),
        "pairs_of_functions": len(calls),
        "calls": sum(calls.values()),
        "pairs_back_up": len(upward_calls),
        "calls_back_up": sum(upward_calls.values()),
    }


def _count_threads(layers: Layers, threads: Sequence[ThreadCalls]) -> dict[str, int]:
    """The figures of several threads together."""
    calls: Counter[Call] = Counter()
    for thread in threads:
        calls.update(thread.calls)
    files = dict.fromkeys(file for thread in threads for file in thread.files)
    return {"threads": len(threads), **_count_calls(layers, list(files), calls)}


def _count_other_threads(layers: Layers, threads: Sequence[ThreadCalls]) -> dict[str, dict[str, int]]:
    """The figures of the other threads, together for those that began with the same function."""
    by_root: dict[Function, list[ThreadCalls]] = {}
    for thread in threads:
        by_root.setdefault(thread.root, []).append(thread)
    return {str(root): _count_threads(layers, threads_of_root) for root, threads_of_root in by_root.items()}


def _group_upward_calls(layers: Layers, calls: Mapping[Call, int]) -> dict[str, dict[str, int]]:
    """The calls back up a layer by caller's and called file, those with most pairs of functions first."""
    by_files: dict[str, dict[str, int]] = {}
    for (caller, callee), times in calls.items():
        if layers.goes_up((caller, callee)):
            by_files.setdefault(f"{caller.file} -> {callee.file}", {})[f"{caller.name} -> {callee.name}"] = times
    return dict(sorted(by_files.items(), key=lambda entry: -len(entry[1])))


def _draw_path(layers: Layers, thread: ThreadCalls) -> list[str]:
    """The files in the order of their first entry, each indented by its layer; `^` marks a call back up."""
    depths = sorted({layers.depth(file) for file in thread.files})
    indents = {file: "    " * depths.index(layers.depth(file)) for file in thread.files}
    lines = [f"{thread.root.file}  {thread.root.name}"]
    files, upward_edges = {thread.root.file}, set[tuple[str, str]]()
    for caller, callee in thread.calls:
        upward, edge = layers.goes_up((caller, callee)), (caller.file, callee.file)
        if callee.file in files and (not upward or edge in upward_edges):
            continue
        mark = "^ " if upward else ""
        lines.append(f"{indents[callee.file]}{mark}{callee.file}  {callee.name}  (from {caller})")
        files.add(callee.file)
        if upward:
            upward_edges.add(edge)
    return lines


def run() -> dict[str, object]:
    """Files entered and calls back up a layer between `burst run` and RunTask, and the path they make."""
    layers, measurement = Layers(ROOT / ".importlinter"), measure()
    thread, stack = measurement.main, measurement.stack
    stack_files = list(dict.fromkeys(function.file for function in stack))
    return {
        "main_thread": _count_calls(layers, thread.files, thread.calls),
        "stack_at_run_task": _count_calls(layers, stack_files, Counter(itertools.pairwise(stack))),
        "other_threads": _count_other_threads(layers, measurement.others),
        "all_threads": _count_threads(layers, [thread, *measurement.others]),
        "files": thread.files,
        "back_up": _group_upward_calls(layers, thread.calls),
        "stack": [str(function) for function in stack],
        "drawing": _draw_path(layers, thread),
    }


def _print_tree(value: object, indent: str = "") -> None:
    """A value of JSON as lines of text."""
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, dict | list):
                print(f"{indent}{name}:")
                _print_tree(part, f"{indent}  ")
            else:
                print(f"{indent}{name}: {part}")
    elif isinstance(value, list):
        for part in value:
            print(f"{indent}{part}")


if __name__ == "__main__":
    _print_tree(run())
