"""The error tree keeps the contract of exit codes."""

import pytest

from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings

CODES = {
    errors.BurstError: 4,
    errors.UsageError: 2,
    plans.PlanError: 2,
    errors.Refused: 4,
    errors.Postponed: 4,
    findings.LaunchRefused: 4,
    errors.UnknownQuestion: 4,
    errors.Conflict: 4,
    errors.ControllerAtWork: 4,
    errors.Unavailable: 4,
    errors.StagingCut: 4,
    errors.PublicationFailed: 5,
    errors.StillRunning: 6,
    errors.EvidenceIncomplete: 7,
    errors.WayBackLost: 6,
    errors.NoSuchRun: 7,
    errors.NoSuchPlace: 7,
    errors.NothingBegun: 7,
    errors.EvidenceCorrupt: 8,
    errors.EvidenceUnknown: 9,
}


def _family(root: type[errors.BurstError]) -> set[type[errors.BurstError]]:
    return {root}.union(*(_family(child) for child in root.__subclasses__()))


@pytest.mark.parametrize(("error", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_each_error_ends_with_the_exit_code_of_the_contract(error: type[errors.BurstError], code: int) -> None:
    assert error.exit_code == code


def test_no_error_of_the_domain_stands_outside_the_contract() -> None:
    of_the_domain = {error for error in _family(errors.BurstError) if error.__module__.startswith("burst.domain")}

    assert of_the_domain == set(CODES)


def test_no_foreseen_error_looks_like_success_or_like_a_bug() -> None:
    assert not {0, 1} & {error.exit_code for error in _family(errors.BurstError)}


def test_a_conflict_is_handled_as_a_refusal_and_a_plan_error_as_usage() -> None:
    assert issubclass(errors.Conflict, errors.Refused)
    assert issubclass(plans.PlanError, errors.UsageError)
