"""Write conditions: what a place did with conditional writes that preflight tried, and whether it keeps its word.

Evidence rests on one header and the lease on another: `If-None-Match: *` lets one of many writers create an object, and
`If-Match` lets one of many replace what it has read. A store that ignores one of them answers 200 all the same.
"""

from dataclasses import dataclass

from burst.domain.preflight import findings


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatesTried:
    """Several creates of one key, begun at once with different bytes, and one more after them."""

    writers: int
    succeeded: int
    """How many were answered that they created the object."""
    reads_back: bool
    """Whether the object holds the bytes of the one that succeeded."""
    later_refused: bool
    """Whether the create after them was refused."""

    @property
    def problem(self) -> str:
        """In which way the place broke its word; empty where it kept it."""
        if not self.later_refused:
            return "took a second write of one key, though If-None-Match was sent"
        if self.succeeded != 1:
            return (
                f"told {self.succeeded} of {self.writers} writers that each had created one key: it looks and then "
                "writes, so a document may be overwritten"
            )
        return "" if self.reads_back else "holds other bytes than those of the one writer that created the key"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapTried:
    """One replacement by the present ETag, then one by the ETag from before it."""

    present_taken: bool
    stale_refused: bool

    @property
    def problem(self) -> str:
        """In which way the place broke its word; empty where it kept it."""
        if not self.present_taken:
            return "refused to replace an object by its present ETag, so no lease can be renewed there"
        if not self.stale_refused:
            return "replaced an object by a stale ETag, though If-Match was sent, so a STOP may be overwritten"
        return ""


def judge_write_once(place: str, creates: CreatesTried, swap: SwapTried | None, versioning: str) -> findings.Finding:
    """Whether a place keeps the conditions of writes; `swap` is tried only where a lease lies."""
    problems = [tried.problem for tried in (creates, swap) if tried is not None and tried.problem]
    if problems:
        return findings.report_refusal("evidence-write-once", f"{place} {'; '.join(problems)}")
    problem = "" if versioning == "Enabled" else f"the versioning of the bucket of {place} is {versioning}"
    return findings.report_problem(
        "evidence-write-once", problem, f"{place} is write-once, versioning on", required=False
    )
