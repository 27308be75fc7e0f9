"""Runbooks: which page helps in which situation, by one rule, so that every message can name its page.

    exit code  runbooks/exit-4.md           blocker          runbooks/blocker-b5.md
    fault      runbooks/fault-ecs-down.md   preflight check  runbooks/preflight.md#canary-route

The pages lie in the repository; a name is all that is made here.
"""

import enum

FOLDER = "runbooks"


class PageKind(enum.StrEnum):
    """What a page is about."""

    EXIT = "exit"
    BLOCKER = "blocker"
    FAULT = "fault"
    CHECK = "preflight"


WHAT_TO_DO = {
    2: "nothing was launched; mend what is named above and give the command again",
    3: "read why each blocker is open, mend it, and rerun what is bounded to it",
    4: "nothing is left running; mend what is named above and give the command again",
    5: "the verdict stands on this machine only; mend the cause, then: burst resume",
    6: "act now: burst stop, then burst reap, then by hand, until every task is seen stopped",
    7: "there is no evidence to rely on; find out whether the run ended, then: burst resume",
    8: "do not rely on this evidence; compare it with its other place, and keep both",
    9: "neither sound nor broken; mend the access, or use a burst that knows the schema",
}
"""In one line, for each exit code that asks somebody to act."""


def page(kind: PageKind, name: str | int) -> str:
    """The page for an exit code, a blocker (`M10F-B5` or `B5`), a fault (`response-lost:RunTask`) or a check."""
    word = str(name).lower()
    if kind is PageKind.CHECK:
        return f"{FOLDER}/{kind}.md#{word}"
    if kind is PageKind.BLOCKER:
        word = word.rpartition("-")[2]
    if kind is PageKind.FAULT:
        word = word.partition(":")[0]
    return f"{FOLDER}/{kind}-{word}.md"


def ending(exit_code: int) -> str:
    """The last line of a message: what to do, and the page; empty for exit codes that ask nothing of anybody."""
    what = WHAT_TO_DO.get(exit_code)
    return f"what to do: {what}; see {page(PageKind.EXIT, exit_code)}" if what else ""
