"""Runbooks: which page helps in which situation, by one rule, so that every message can name its page.

    exit code  exit-4           blocker of a burst       blocker-b5
    fault      fault-ecs-down   blocker of another kind  blockers-soak#b2
                                preflight check          preflight#canary-route

`burst runbook NAME` prints a page, in a clone or without one. Documents name its file: `runbooks/exit-4.md`.
"""

import enum

FOLDER = "runbooks"
BURST = "burst"
"""The kind of phase whose blockers have a page each; those of every other kind share one."""


class PageKind(enum.StrEnum):
    """The kind of situation that a page is about."""

    EXIT = "exit"
    BLOCKER = "blocker"
    FAULT = "fault"
    CHECK = "preflight"


WHAT_TO_DO = {
    2: "mend what is named above and give the command again",
    3: "read why each blocker is open, mend its cause, and run again; a rerun may be bounded to these blockers",
    4: "this command left nothing running; mend what is named above and give the command again",
    5: "the verdict stands on this machine only; mend the cause, then: burst resume RUN",
    6: "act now: burst stop RUN, then burst reap --run RUN, then by hand, until every task is seen stopped",
    7: "there is no evidence to rely on; where a run began and has not ended: burst resume RUN",
    8: "do not rely on this evidence; compare it with its other place, and keep both",
    9: "neither sound nor broken; mend the access, or use a burst that knows the schema",
}
"""One line for each exit code that calls for an act of the operator."""

_USAGE = 2
TO_DO_WHILE_DRIVEN = "tasks may be running under the controller named above; leave the run to it, or end the burst"
"""The line for exit code 4 where another controller drives the run."""


def page_name(kind: PageKind, subject: str | int, *, phase_kind: str = BURST) -> str:
    """The page for an exit code, a blocker (`M10F-B5` or `B5`), a fault (`response-lost:RunTask`) or a check.

    `phase_kind`: the kind of phase that the blocker is of.
    """
    word = str(subject).lower()
    if kind is PageKind.CHECK:
        return f"{kind}#{word}"
    if kind is PageKind.BLOCKER:
        word = word.rpartition("-")[2]
        if phase_kind != BURST:
            return f"{kind}s-{phase_kind}#{word}"
    if kind is PageKind.FAULT:
        word = word.partition(":")[0]
    return f"{kind}-{word}"


def page_file(kind: PageKind, subject: str | int, *, phase_kind: str = BURST) -> str:
    """The file of that page in the repository, with the anchor of its section."""
    name, mark, section = page_name(kind, subject, phase_kind=phase_kind).partition("#")
    return f"{FOLDER}/{name}.md{mark}{section}"


def page_command(kind: PageKind, subject: str | int, *, phase_kind: str = BURST) -> str:
    """The command that prints that page."""
    return f"burst runbook {page_name(kind, subject, phase_kind=phase_kind)}"


def choose_act(exit_code: int, *, driven: bool = False, launches: bool = False, advice: str = "") -> str:
    """What to do after a command that ended so; empty for exit codes that call for no act.

    `driven`: whether another controller drives the run. `launches`: whether the command is one that launches something,
    so that people ask whether it did. `advice`: the act, where it is another than the code's.
    """
    act = advice or (TO_DO_WHILE_DRIVEN if driven else WHAT_TO_DO.get(exit_code, ""))
    return f"nothing was launched; {act}" if launches and act and exit_code == _USAGE else act


def ending(exit_code: int, *, driven: bool = False, launches: bool = False, advice: str = "") -> str:
    """The last line of a message: the act and the page; empty where there is no act. As `choose_act`."""
    act = choose_act(exit_code, driven=driven, launches=launches, advice=advice)
    return f"what to do: {act}; see: {page_command(PageKind.EXIT, exit_code)}" if act else ""
