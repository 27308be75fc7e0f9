"""Numbers and their magnitudes: how great and how small a measured figure may be, so that ratios and squares of such
figures are numbers too."""

from typing import Final, TypeGuard

LARGEST: Final = 1e100
SMALLEST: Final = 1e-100
"""The least magnitude of a figure that is not 0."""
ALLOWED: Final = f"0, or from {SMALLEST:g} to {LARGEST:g} either way"


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value read from JSON or YAML is a number. True and false are none, though Python counts with them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_measurable(value: int | float) -> bool:
    """Whether a number is 0, or of a magnitude that something can measure. NaN and infinities are not."""
    return value == 0 or SMALLEST <= abs(value) <= LARGEST
