"""Distributions of a parameter's values between two bounds, as maps from [0, 1) to the bounds and back.

The normal distributions are Katib's: the mean is the middle, the bounds are three standard deviations away. Katib's
hyperopt lets values fall outside; here the distribution is cut off at the bounds. Logarithms are the C library's: their
last digit may differ between platforms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from sparksweep_core.api import Distribution

_NORMAL = NormalDist()
_SIGMAS = 3.0
"""Standard deviations between the mean and a bound: Katib's sigma is a sixth of the range."""
_TAIL = _NORMAL.cdf(-_SIGMAS)
"""Probability below the lower bound, which is cut off; above the upper one it is the same."""


@dataclass(frozen=True, slots=True)
class BoundedDistribution:
    """A distribution between finite bounds, lower <= upper; for the logarithmic ones both are positive."""

    lower: float
    upper: float
    distribution: Distribution = Distribution.UNIFORM

    def quantile(self, position: float) -> float:
        """Return the quantile at a position in [0, 1], always within the bounds."""
        if self.distribution.is_normal:
            quantile = _NORMAL.inv_cdf(_TAIL + position * (1 - 2 * _TAIL))
            position = (quantile + _SIGMAS) / (2 * _SIGMAS)
        if self.distribution.is_logarithmic:
            value = math.exp(_between(math.log(self.lower), math.log(self.upper), position))
        else:
            value = _between(self.lower, self.upper, position)
        return min(max(value, self.lower), self.upper)

    def cdf(self, value: float) -> float:
        """Return the position in [0, 1] of a value within the bounds: the inverse of `quantile`."""
        if self.lower == self.upper:
            return 0.0
        if self.distribution.is_logarithmic:
            lower, upper, value = math.log(self.lower), math.log(self.upper), math.log(value)
        else:
            lower, upper = self.lower, self.upper
        # Halves, because the range of two floats may be too large for one.
        position = (value / 2 - lower / 2) / (upper / 2 - lower / 2)
        if self.distribution.is_normal:
            cumulated = _NORMAL.cdf(position * 2 * _SIGMAS - _SIGMAS)
            position = (cumulated - _TAIL) / (1 - 2 * _TAIL)
        return min(max(position, 0.0), 1.0)


def _between(lower: float, upper: float, position: float) -> float:
    # Not lower + position * (upper - lower): that range may be too large for a float.
    return lower * (1 - position) + upper * position
