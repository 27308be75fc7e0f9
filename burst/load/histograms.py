"""Histograms of durations: counts by bucket, merged exactly by addition, each bucket at most 1/128 wide of its value.

The layout is that of an HDR histogram with two significant digits, in whole microseconds: up to 255 every value has a
bucket of its own, above it the eight leading bits decide. The package of that name is not used, because load programs
need the standard library alone, and here a dictionary of counts is all that is needed.
"""

SUB_BUCKET_BITS = 8
RESOLUTION = 1 / (1 << (SUB_BUCKET_BITS - 1))
"""The width of a bucket, as a part of the values in it, at most."""
_WIDE_BITS = 4
WIDE_RESOLUTION = RESOLUTION * (1 << _WIDE_BITS)
"""The same of a wide bucket, which is sixteen as one: so few that each ten seconds can have theirs."""


def find_bucket(seconds: float) -> int:
    """The number of the bucket that a duration falls into; a negative one falls into the first."""
    micros = max(0, round(seconds * 1_000_000))
    shift = max(0, micros.bit_length() - SUB_BUCKET_BITS)
    return (shift << SUB_BUCKET_BITS) + (micros >> shift)


def find_highest(bucket: int) -> float:
    """The longest duration of a bucket, in seconds: no figure that is made of it is too low."""
    shift, leading = bucket >> SUB_BUCKET_BITS, bucket & ((1 << SUB_BUCKET_BITS) - 1)
    return (((leading + 1) << shift) - 1) / 1_000_000


def widen(bucket: int) -> int:
    """The number of the wide bucket that a bucket lies in."""
    return bucket >> _WIDE_BITS


def find_highest_wide(wide_bucket: int) -> float:
    """The longest duration of a wide bucket, in seconds."""
    return find_highest((wide_bucket << _WIDE_BITS) + (1 << _WIDE_BITS) - 1)
