"""Rails: what a candidate must not lose for its gain. A rail that cannot be asked is INVALID, and holds."""

from collections.abc import Iterator, Mapping

from burst.domain.closure import compared_runs, exact_numbers, score_checks, score_files

_PASSES = (True, "PASS", "pass")
_MOST_DIFFERENCES = 5


def ask_rail(
    rail: score_files.RailSection, baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun
) -> score_checks.Check:
    """The answer of one veto rail."""
    if rail.rail in ("pass", "present"):
        return _ask_candidate(rail, candidate)
    if rail.of == "keys":
        return _ask_keys(rail, baseline, candidate)
    if rail.rail == "not_worse":
        return _ask_not_worse(rail, baseline, candidate)
    return _ask_same(rail, baseline, candidate)


def _ask_candidate(rail: score_files.RailSection, candidate: compared_runs.ComparedRun) -> score_checks.Check:
    """`pass`: true, or PASS; `present`: anything but null and what is empty."""
    reading = compared_runs.read_figure(candidate, rail)
    required = "true or PASS" if rail.rail == "pass" else "present"
    if not reading.known:
        return score_checks.make_invalid("veto", rail.name, reading.problem, required=required)
    value = reading.value
    if rail.rail == "pass":
        passed = any(type(value) is type(word) and value == word for word in _PASSES)
    else:
        passed = value is not None and value not in ("", [], {})
    text = _shorten(value)
    return score_checks.Check(
        group="veto",
        name=rail.name,
        status=score_checks.choose_status(passed),
        candidate=text,
        required=required,
        why=f"{rail.words} is {text}",
    )


def _ask_keys(
    rail: score_files.RailSection, baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun
) -> score_checks.Check:
    """`same`: equal sets; `not_worse`: no key that the baseline does not have."""
    before, after = (compared_runs.read_keys(run, rail) for run in (baseline, candidate))
    required = "equal sets" if rail.rail == "same" else "no new key"
    if not before.known or not after.known:
        return score_checks.make_invalid("veto", rail.name, before.problem, after.problem, required=required)
    gone, new = before.value - after.value, after.value - before.value
    passed = not new and (rail.rail == "not_worse" or not gone)
    parts = [f"{len(before.value)} -> {len(after.value)} keys"]
    parts += [f"{word}: {score_checks.list_keys(keys)}" for word, keys in (("gone", gone), ("new", new)) if keys]
    return score_checks.Check(
        group="veto",
        name=rail.name,
        status=score_checks.choose_status(passed),
        baseline=len(before.value),
        candidate=len(after.value),
        required=required,
        why="; ".join(parts),
    )


def _ask_not_worse(
    rail: score_files.RailSection, baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun
) -> score_checks.Check:
    before, after = (compared_runs.read_number(run, rail) for run in (baseline, candidate))
    required = f"not worse ({rail.better} is better), tolerance {rail.tolerance}"
    if not before.known or not after.known:
        return score_checks.make_invalid("veto", rail.name, before.problem, after.problem, required=required)
    was, now = exact_numbers.read_exact(before.value), exact_numbers.read_exact(after.value)
    loss = now - was if rail.better == "lower" else was - now
    passed = loss <= exact_numbers.read_tolerance(rail.tolerance, was)
    return score_checks.Check(
        group="veto",
        name=rail.name,
        status=score_checks.choose_status(passed),
        baseline=before.value,
        candidate=after.value,
        required=required,
        why=f"{before.value} -> {after.value}",
    )


def _ask_same(
    rail: score_files.RailSection, baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun
) -> score_checks.Check:
    """Equal values; numbers, at any depth, within the tolerance."""
    before, after = (compared_runs.read_figure(run, rail) for run in (baseline, candidate))
    required = f"same, tolerance {rail.tolerance}"
    if not before.known or not after.known:
        return score_checks.make_invalid("veto", rail.name, before.problem, after.problem, required=required)
    if before.value is None:
        return score_checks.make_invalid("veto", rail.name, f"the baseline's {rail.words} is null", required=required)
    differences = list(_list_differences(before.value, after.value, rail.tolerance, ""))
    words = "; ".join(differences[:_MOST_DIFFERENCES])
    more = f"; and {len(differences) - _MOST_DIFFERENCES} more" if len(differences) > _MOST_DIFFERENCES else ""
    return score_checks.Check(
        group="veto",
        name=rail.name,
        status=score_checks.choose_status(not differences),
        baseline=_shorten(before.value),
        candidate=_shorten(after.value),
        required=required,
        why=f"{words}{more}" if differences else "unchanged",
    )


def _list_differences(
    before: compared_runs.Json, after: compared_runs.Json, tolerance: int | float | str, path: str
) -> Iterator[str]:
    where = path or "the value"
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}/{key}"
            if key not in before or key not in after:
                yield f"{inner} is {'new' if key in after else 'gone'}"
            else:
                yield from _list_differences(before[key], after[key], tolerance, inner)
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{where} had {len(before)} members and has {len(after)}"
            return
        for index, (was, now) in enumerate(zip(before, after, strict=True)):
            yield from _list_differences(was, now, tolerance, f"{path}/{index}")
    elif compared_runs.is_number(before) and compared_runs.is_number(after):
        was, now = exact_numbers.read_exact(before), exact_numbers.read_exact(after)
        if abs(now - was) > exact_numbers.read_tolerance(tolerance, was):
            yield f"{where} {before} -> {after}"
    elif type(before) is not type(after) or before != after:
        yield f"{where} {_shorten(before)} -> {_shorten(after)}"


def _shorten(value: compared_runs.Json) -> bool | int | float | str | None:
    """A scalar as it is, a long text cut; of an object or a list how many it holds."""
    if isinstance(value, Mapping | list):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    return value[:200] if isinstance(value, str) else value
