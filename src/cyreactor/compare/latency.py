"""What a load generator's histogram says."""

from __future__ import annotations

from collections.abc import Sequence

# As in the generators: below 128 ns each its own bucket, above 64 for every doubling.
DIRECT = 128
PER_DOUBLING = 64


def value_of(bucket: int) -> float:
    """The middle of a bucket, in nanoseconds."""
    if bucket < DIRECT:
        return float(bucket)
    shift, step = divmod(bucket - DIRECT, PER_DOUBLING)
    return float(((PER_DOUBLING + step) << (shift + 1)) + (1 << shift))


def quantile(histogram: Sequence[int], fraction: float) -> float | None:
    """The latency, in microseconds, that so large a part of the requests did not exceed; None without any."""
    rank = fraction * sum(histogram)
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if count and seen >= rank:
            return value_of(bucket) / 1e3
    return None
