"""Errors: one tree, each branch with the exit code of the command, so that the command line needs one handler.

    BurstError
    ├── UsageError            2   a flag, a plan or a setting is wrong: nothing was launched
    │   └── PlanError         2   ... with file, line and key
    ├── Refused               4   preflight said no, or the run failed before a verdict
    │   ├── Postponed         4   the database gave an act up for now; a retry may help
    │   ├── UnknownQuestion   4   the counting task is too old to know the question
    │   └── Conflict          4   something already stands where this run wanted to write
    │       └── ControllerAtWork  4   another controller drives the run, whose tasks may be running
    ├── PublicationFailed     5   the verdict exists but is not durably published
    ├── StillRunning          6   a task may still be running
    ├── EvidenceIncomplete    7   evidence is absent or half there
    │   ├── NoSuchRun         7   no run of that name is known here
    │   ├── NoSuchPlace       7   no runs lie in that place
    │   └── NothingBegun      7   no course was begun in that folder
    ├── EvidenceCorrupt       8   evidence is there and wrong
    ├── EvidenceUnknown       9   cannot tell: no access, or a schema this version does not know
    └── Unavailable           4   an outside thing did not answer; a retry may help
        └── StagingCut        4   staged changes stopped on their way, and a resume goes on

The exit codes are a contract with users. A message names the place, the value, the
allowed values and the next step.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwritten:
    """A document that could not be published, and the store's last answer. No field is free text."""

    place: str
    name: str
    code: str = ""
    """The store's own word for it, such as AccessDenied; empty where there was no answer."""
    http_status: int = 0
    request_id: str = ""
    attempts: int = 0


class BurstError(Exception):
    """Any failure that burst foresees; the command line ends with its `exit_code`."""

    exit_code: ClassVar[int] = 4
    advice: str = ""
    """What to do, where the line of the exit code speaks of another situation."""
    unwritten: Unwritten | None = None
    """Set by a store that could not publish a document."""


class UsageError(BurstError):
    """A flag, plan or setting is wrong and nothing was launched."""

    exit_code = 2


class Refused(BurstError):
    """The run may not start, or ended before a verdict; the command left nothing running."""

    exit_code = 4


class Postponed(Refused):
    """The database gave an act up for now: a lock was not free in time, or somebody cancelled it."""


class UnknownQuestion(Refused):
    """The counting task is of an older image, which does not know the question; it answers every other one."""


class Conflict(Refused):
    """Something already stands under the name this run wanted; nothing was overwritten."""


class ControllerAtWork(Conflict):
    """Another controller drives the run. Its tasks may be running, and are that controller's to end."""


class Unavailable(BurstError):
    """An outside thing (database, store, control plane) did not answer; trying again may help."""

    exit_code = 4
    wait_seconds: float | None = None
    """How long it asked to be left alone, where it said so."""


class StagingCut(Unavailable):
    """Staged changes stopped on their way. The message says how far they came, because the database may be changed."""

    advice = "mend what is named above, then go on or go back by the command that is named there"


class PublicationFailed(BurstError):
    """The verdict was reached but could not be made durable where the plan wants it."""

    exit_code = 5


class StillRunning(BurstError):
    """A task may still be running after every way to end it was tried; a person has to act."""

    exit_code = 6


class WayBackLost(BurstError):
    """A snapshot of staged changes cannot be read, so the database stays as they left it; a person has to act."""

    exit_code = 6
    advice = (
        "put the document back from a copy of the folder, then: burst db resume FOLDER; without a copy, put back by "
        "hand what this lists: burst db status FOLDER"
    )


class EvidenceIncomplete(BurstError):
    """The evidence is absent or was never committed."""

    exit_code = 7


class NoSuchRun(EvidenceIncomplete):
    """No run of that name is known here: mostly a word that was mistyped, or another folder."""

    advice = "name a run by its id, its folder, or `last`"

    def __init__(self, words: str, *, elsewhere: str = "") -> None:
        """`elsewhere`: by which options the command looks in other places."""
        super().__init__(words)
        self.advice = f"{type(self).advice}{elsewhere}"


class NoSuchPlace(EvidenceIncomplete):
    """A place of runs that is not there, or is a single run, or holds no run that is asked for."""

    advice = (
        "name a folder of runs, mostly `runs`, or s3://BUCKET/PREFIX; what lies there: burst evidence ls PLACE; of a "
        "single run: burst verify RUN"
    )


class NothingBegun(EvidenceIncomplete):
    """No course was begun in the folder: mostly another folder, or a name that was mistyped."""

    advice = "name the folder that the command which began printed first; where it printed none, begin again"


class EvidenceCorrupt(BurstError):
    """The evidence is there and does not hold: bytes, digests, form or verdict differ."""

    exit_code = 8


class EvidenceUnknown(BurstError):
    """The evidence cannot be judged: it is unreadable, or of a schema that this version does not know."""

    exit_code = 9
