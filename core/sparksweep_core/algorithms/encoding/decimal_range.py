"""Exact, evenly spaced decimals: the values between a parameter's min and max by its step.

0 to 0.3 in steps of 0.1 has four points, the last one is "0.3", and none is "0.30000000000000004": all arithmetic is
on integers that count a common power of ten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sparksweep_core.api import limits

_INTEGER = re.compile(r"-?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class DecimalRange:
    """The values first, first + step, ... (size of them), counted in units of 10 ** exponent."""

    first: int
    step: int
    exponent: int
    size: int

    @staticmethod
    def between(minimum: str, maximum: str, step: str) -> DecimalRange:
        """Return the values that whole steps reach from `minimum` to `maximum`. All three are decimal numbers."""
        numbers = [Decimal(text) for text in (minimum, maximum, step)]
        exponent = min(_exponent(number) for number in numbers)
        first, last, stride = (_units(number, exponent) for number in numbers)
        return DecimalRange(
            first=first, step=stride, exponent=exponent, size=(last - first) // stride + 1
        )

    def text_at(self, index: int) -> str:
        """Return the value at an index from 0, as a plain decimal without needless digits.

        If that would take more characters than a number in the API may have (1e-300), the text is that of a float.
        """
        digits = self.first + index * self.step
        # An integer's digits equal the decimal's text, and take a tenth of the time.
        text = str(digits) if self.exponent == 0 else format(_decimal(digits, self.exponent), "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text if len(text) <= limits.NUMBER else repr(self.float_at(index))

    def float_at(self, index: int) -> float:
        """Return the value at an index, which may be `size` or beyond."""
        return float(_decimal(self.first + index * self.step, self.exponent))

    @property
    def float_step(self) -> float:
        """Distance between neighbouring values."""
        return float(_decimal(self.step, self.exponent))

    def index_of(self, text: str) -> int:
        """Return the index whose value is nearest to a number."""
        if self.exponent == 0 and _INTEGER.fullmatch(text):
            # The same result as that of the fractions, in a tenth of the time.
            index, rest = divmod(int(text) - self.first, self.step)
            if rest == 0:
                return min(max(index, 0), self.size - 1)
        offset = Fraction(Decimal(text)) - Fraction(_decimal(self.first, self.exponent))
        index = round(offset / Fraction(_decimal(self.step, self.exponent)))
        return min(max(index, 0), self.size - 1)


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is not finite")
    return exponent


def _units(number: Decimal, exponent: int) -> int:
    # Not scaleb(): the decimal context would round to 28 digits.
    sign, digits, own = number.as_tuple()
    assert isinstance(own, int)
    units: int = int("".join(map(str, digits))) * 10 ** (own - exponent)
    return -units if sign else units


def _decimal(units: int, exponent: int) -> Decimal:
    return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), exponent))
