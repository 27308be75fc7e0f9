"""Measures: whether a figure improved enough, by a bound of its own or by a part of the active baseline's figure."""

from fractions import Fraction

from burst.domain.closure import compared_runs, exact_numbers, score_checks, score_files


def ask_measure(
    measure: score_files.MeasureSection, baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun
) -> score_checks.Check:
    """The answer for one measure. Either of its two bounds is enough; the boundary itself passes."""
    before, after = (compared_runs.read_number(run, measure) for run in (baseline, candidate))
    rule = describe_rule(measure)
    if not before.known or not after.known:
        return score_checks.make_invalid("measure", measure.name, before.problem, after.problem, required=rule)
    was, now = exact_numbers.read_exact(before.value), exact_numbers.read_exact(after.value)
    if was <= 0:
        why = f"the baseline's figure is {before.value}: nothing can be a part of it"
        return score_checks.make_invalid("measure", measure.name, why, required=rule)
    if now < 0 or (now == 0 and measure.is_seconds):
        why = f"the candidate's figure is {after.value}: nothing was measured"
        return score_checks.make_invalid("measure", measure.name, why, required=rule)
    gain = exact_numbers.find_improvement(was, now, lower_is_better=measure.lower_is_better)
    bounds = _list_bounds(measure, was)
    reached = any((now <= bound) if measure.lower_is_better else (now >= bound) for bound in bounds)
    loosest = (max if measure.lower_is_better else min)(bounds)
    return score_checks.Check(
        group="measure",
        name=measure.name,
        status=score_checks.choose_status(reached),
        baseline=before.value,
        candidate=after.value,
        required=float(loosest),
        improvement=float(gain),
        unit="s" if measure.is_seconds else measure.unit,
        why=f"{before.value} -> {after.value}, {format_percent(gain)}; asked for: {rule}",
    )


def _list_bounds(measure: score_files.MeasureSection, baseline: Fraction) -> list[Fraction]:
    """Every bound that is enough by itself."""
    own = [bound for bound in (measure.at_most, measure.at_least) if bound is not None]
    bounds = [exact_numbers.read_exact(bound) for bound in own]
    part = None
    if measure.reduced_by is not None:
        part = baseline * (1 - exact_numbers.read_exact(measure.reduced_by))
    if measure.raised_by is not None:
        part = baseline * (1 + exact_numbers.read_exact(measure.raised_by))
    if part is not None:
        rounded = part if measure.decimals is None else round(part, measure.decimals)
        is_gain = rounded < baseline if measure.lower_is_better else rounded > baseline
        bounds.append(rounded if is_gain else part)
    return bounds


def describe_rule(measure: score_files.MeasureSection) -> str:
    """What a measure asks for, in words."""
    unit = " s" if measure.is_seconds else f" {measure.unit}" if measure.unit else ""
    parts = []
    if measure.at_most is not None:
        parts.append(f"<= {measure.at_most}{unit}")
    if measure.reduced_by is not None:
        parts.append(f"reduced by >= {_format_share(measure.reduced_by)}")
    if measure.at_least is not None:
        parts.append(f">= {measure.at_least}{unit}")
    if measure.raised_by is not None:
        parts.append(f"raised by >= {_format_share(measure.raised_by)}")
    return " or ".join(parts)


def _format_share(share: float) -> str:
    return f"{float(exact_numbers.read_exact(share) * 100):g} %"


def format_percent(fraction: Fraction) -> str:
    """A part in percent with two decimals and its sign, as closures are quoted."""
    return f"{float(round(fraction * 100, 2)):+.2f} %"
