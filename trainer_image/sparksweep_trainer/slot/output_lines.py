"""Lines of a trial's output as a reader of a terminal sees them: from bytes that may be cut anywhere. Constant memory.

A line ends at a line feed or a carriage return, because progress bars print the second. Escape sequences, other control
characters and byte order marks are removed; a backspace moves back, and what follows it is written over the old text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

MAX_LINE_BYTES = 64 * 1024
"""Bytes of a line that are read; the rest of it is skipped."""
CUT = "\ufffd"
"""Last character of a line that was cut, and every character that is no UTF-8."""

_LINE_END = re.compile(rb"[\r\n]")
# Escape sequences of ECMA-48: control sequences, strings that BEL or ST ends, and those of two characters.
_CONTROL = re.compile(
    r"(?P<csi>\x1b\[(?P<parameters>[0-?]*+)[ -/]*+(?P<final>[@-~]))"
    r"|\x1b[]PX^_][^\x07\x1b]*+(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*+[0-~]"
    r"|(?P<backspace>\x08)"
    r"|[\x00-\x07\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff]"
)
# Colours, and the erasure of what is right of the cursor, which is nothing unless something else moves the cursor.
_COLOUR = re.compile(rb"\x1b\[(?:[0-9;:]*+m|0?K)")
_DIRTY = bytes([*range(9), *range(14, 28), 0x7F])
_INVISIBLE = re.compile(
    rb"\xc2[\x80-\x9f\xad]|\xe2\x80[\x8b\x8e\x8f\xaa-\xae]|\xe2\x81|\xef\xbb\xbf"
)


class LineSplitter:
    """Splits a stream of bytes into blocks of whole lines."""

    def __init__(self, skipped: Callable[[bytes], None]) -> None:
        """Pass to `skipped` what is not read of long lines, piece by piece."""
        self._pending = bytearray()
        self._skipping = False
        self._skipped = skipped

    def feed(self, data: bytes) -> bytes:
        """Return the lines that the data completes, their ends included; of a long line the beginning."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        block = bytearray()
        if end:
            block = self._pending
            self._pending = bytearray()
            block += self._after_long_line(data[:end])
            block = self._bounded(block)
            self._skipping = False
        rest = data[end:]
        if self._skipping:
            self._skipped(rest)
        else:
            self._pending += rest
            if len(self._pending) > MAX_LINE_BYTES:
                block += self._bounded(self._pending)
                self._pending = bytearray()
                self._skipping = True
        return bytes(block)

    def finish(self) -> bytes:
        """Return the last line, which no line end follows."""
        block, self._pending = bytes(self._pending), bytearray()
        return block

    def _after_long_line(self, data: bytes) -> bytes:
        if not self._skipping:
            return data
        line, rest = _LINE_END.split(data, maxsplit=1)
        self._skipped(line)
        return rest

    def _bounded(self, block: bytearray) -> bytearray:
        """Return the lines, each cut at the limit, with a mark that no number ends with."""
        if len(block) <= MAX_LINE_BYTES:
            return block
        lines = _LINE_END.split(block)
        for index, line in enumerate(lines):
            if len(line) > MAX_LINE_BYTES:
                lines[index] = line[:MAX_LINE_BYTES] + CUT.encode()
                self._skipped(bytes(line[MAX_LINE_BYTES:]))
        return bytearray(b"\n".join(lines))


def split_lines(block: bytes) -> list[bytes]:
    """Split a block of lines at their ends."""
    return _LINE_END.split(block)


def without_colours(block: bytes) -> bytes:
    """Return lines without their escape sequences, if those are none but colours; else the lines as they are.

    Most escape sequences are, and to remove these from a block is fifty times as fast as `visible_lines`.
    """
    if b"\x1b" not in block:
        return block
    cleaned = _COLOUR.sub(b"", block)
    return cleaned if is_plain(cleaned) else block


def is_plain(block: bytes) -> bool:
    """Return True if `visible_lines` would remove nothing from the lines."""
    if len(block.translate(None, _DIRTY)) != len(block):
        return False
    return block.isascii() or not _INVISIBLE.search(block)


def visible_lines(line: bytes) -> Iterator[str]:
    """Yield the text of a line, in Unicode's composed form; several texts if it moves to other lines of the screen."""
    text = line.decode(errors="replace")
    if text.isascii() and text.isprintable():
        yield text
        return
    for part in _parts(text) if _CONTROL.search(text) else [text]:
        yield unicodedata.normalize("NFC", part)


def _parts(text: str) -> Iterator[str]:
    cells: list[str] = []
    cursor = position = 0
    for match in _CONTROL.finditer(text):
        cursor = _write(cells, cursor, text[position : match.start()])
        position = match.end()
        if match["backspace"]:
            cursor = max(0, cursor - 1)
        elif match["csi"]:
            after = _moved(cells, cursor, match["parameters"], match["final"])
            if after is None:
                yield "".join(cells)
                cells, cursor = [], 0
            else:
                cursor = after
    _write(cells, cursor, text[position:])
    yield "".join(cells)


def _write(cells: list[str], cursor: int, text: str) -> int:
    cells[cursor : cursor + len(text)] = text
    return cursor + len(text)


def _moved(cells: list[str], cursor: int, parameters: str, final: str) -> int | None:
    """Return the place after a control sequence; None if it leaves the line or erases it from its start."""
    count = int(parameters[:4]) if parameters.isdigit() else 1
    match final:
        case "C":
            if cursor == len(cells):
                cells.append(" ")
            return min(cursor + max(count, 1), len(cells))
        case "D":
            return max(0, cursor - max(count, 1))
        case "J" | "K" if parameters in ("", "0"):
            del cells[cursor:]
            return cursor
        case "A" | "B" | "E" | "F" | "G" | "H" | "J" | "K" | "S" | "T" | "`" | "d" | "f" | "u":
            return None
        case _:
            return cursor
