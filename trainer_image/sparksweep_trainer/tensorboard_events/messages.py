"""Encoding of Protocol Buffers, as far as TensorBoard's messages need it: each function encodes one field. Pure.

See https://protobuf.dev/programming-guides/encoding/. A message is the concatenation of its fields.
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def integer(number: int, value: int) -> bytes:
    """Encode an int32, int64 or enum; negative values take ten bytes."""
    return _varint(number << 3 | _VARINT) + _varint(value & (1 << 64) - 1)


def double(number: int, value: float) -> bytes:
    """Encode a double."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    """Encode a float; values beyond its range become infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return _varint(number << 3 | _FIXED32) + packed


def text(number: int, value: str) -> bytes:
    """Encode a string."""
    return message(number, value.encode())


def message(number: int, value: bytes) -> bytes:
    """Encode an embedded message, or bytes."""
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
