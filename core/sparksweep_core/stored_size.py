"""Sizes of JSON values in etcd, where Go's encoder has written them, and texts that are shortened to such a size.

The encoder writes ``<``, ``>`` and ``&`` with six bytes, as it does the separators U+2028 and U+2029 and most control
characters; all else is UTF-8. A text of 4,096 characters can therefore take 24 KiB. Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

ESCAPED_BYTES = 6
"""Bytes of a character that is written as ``\\u003c``."""

_SPECIAL = re.compile(r'[\x00-\x1f"\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = '"\\\n\r\t'
"""Characters that take two bytes: a backslash and a letter, or themselves."""


def stored_bytes(value: object) -> int:
    """Return the size in bytes of a JSON value as the API server stores it; an upper bound by a few bytes.

    ``\\b`` and ``\\f`` count six bytes, as API servers that were built with Go before 1.22 write them; later ones
    write two.

    Args:
        value: what `json.loads` returns: None, bool, int, float, str, list or dict.

    Raises:
        TypeError: the value is none of these.
    """
    match value:
        case str():
            return 2 + text_bytes(value)
        case bool():
            return 4 if value else 5
        case None:
            return 4
        case int():
            return len(str(value))
        case float():
            return _float_bytes(value)
        case Mapping():
            pairs = sum(stored_bytes(key) + 2 + stored_bytes(item) for key, item in value.items())
            return max(2, pairs + 1)
        case list() | tuple():
            return max(2, sum(stored_bytes(item) + 1 for item in value) + 1)
        case _:
            raise TypeError(f"not a JSON value: {type(value).__name__}")


def text_bytes(text: str) -> int:
    """Return the size in bytes of a text as the API server stores it, without its quotes."""
    special = _SPECIAL.findall(text)
    if not special:
        return len(text) if text.isascii() else len(text.encode())
    rest = _SPECIAL.sub("", text)
    return len(rest.encode()) + sum(map(_special_bytes, special))


def start_within(text: str, limit: int) -> str:
    """Return the longest start of a text that is stored in at most `limit` bytes."""
    if len(text) * ESCAPED_BYTES <= limit or text_bytes(text) <= limit:
        return text
    used = 0
    for index, character in enumerate(text):
        used += _character_bytes(character)
        if used > limit:
            return text[:index]
    return text


def end_within(text: str, limit: int) -> str:
    """Return the longest end of a text that is stored in at most `limit` bytes."""
    return start_within(text[::-1], limit)[::-1]


def shortened(text: str, limit: int) -> str:
    """Return a text in at most `limit` stored bytes; a long one keeps its first line and its end, with dots between.

    Args:
        text: the text.
        limit: bytes, at least 10.
    """
    if text_bytes(text) <= limit:
        return text
    first, _, rest = text.partition("\n")
    first = start_within(first, limit // 2)
    # The line feed is stored in two bytes, the dots in three.
    return f"{first}\n...{end_within(rest or text, limit - text_bytes(first) - 5)}"


def _character_bytes(character: str) -> int:
    if _SPECIAL.match(character):
        return _special_bytes(character)
    return len(character.encode())


def _special_bytes(character: str) -> int:
    if character in _SHORT:
        return 2
    # Half of a surrogate pair is stored as U+FFFD.
    return 3 if "\ud800" <= character <= "\udfff" else ESCAPED_BYTES


def _float_bytes(value: float) -> int:
    """Return the length of a float as Go writes it: without an exponent from 1e-6 to 1e21."""
    if not math.isfinite(value):
        return 4  # null: no JSON number
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return len(text.removesuffix(".0"))
    mantissa, _, exponent = repr(value).partition("e")
    return len(mantissa.removesuffix(".0")) + 2 + len(exponent.lstrip("+-").lstrip("0"))
