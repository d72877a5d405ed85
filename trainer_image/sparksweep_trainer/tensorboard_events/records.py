"""Framing of event files (TFRecord): each message with its length and checksums. Pure.

See tensorflow/core/lib/io/record_writer.h. The checksum is CRC-32C (RFC 3720, appendix B.4), masked.
"""

from __future__ import annotations

import struct

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data`."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> int:
    value = crc32c(data)
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


def record(message: bytes) -> bytes:
    """Frame a message."""
    length = struct.pack("<Q", len(message))
    return b"".join((
        length, struct.pack("<I", _masked(length)), message, struct.pack("<I", _masked(message)),
    ))  # fmt: skip
