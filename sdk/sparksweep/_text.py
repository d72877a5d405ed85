"""Text of users and of trials as one harmless line, and numbers as people read them. Pure.

Such text is never trusted: a trial may print an escape sequence that rewrites the terminal, a category may hold a line
break, a path bytes that are no UTF-8. All output for people passes through `one_line` or `lines_of`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from sparksweep_core.api import Parameter, ParameterType

LONG_NUMBER = 10
"""Characters of a parameter's value above which six digits of it are shown."""

SEQUENCES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    "|(?:\x1b[P\\]X^_]|[\x90\x9d\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"  # OSC, DCS and other strings
    "|\x1b[ -/]+[0-~]"  # character sets
    "|\x1b[0-OQ-WYZ\\\\`-~]"  # single functions
)
"""Complete terminal control sequences (ECMA-48); what is left of an incomplete one is made visible."""
_PLAIN_LINE = re.compile(rb"[ -~\t]*\n?")
_REWRITES = re.compile("[\b\r]+")
"""Returns to the start of a line, with which progress bars overwrite it."""
_JOINERS = "\u200c\u200d"
"""Invisible characters that Persian and emoji are spelled with."""
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control, format (text direction, zero width), surrogate, line and paragraph separator."""
_BLANK_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
"""Letters and marks without a glyph, which Unicode files among the others."""
_NAMES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def one_line(text: str) -> str:
    r"""Return text with every control and invisible character spelled out: a line break as ``\n``, ESC as ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def without_sequences(text: str) -> str:
    """Return text without complete terminal control sequences."""
    return SEQUENCES.sub("", text)


def lines_of(text: str) -> list[str]:
    """Return the lines of a message: without control sequences, tabs expanded, all else as by `one_line`."""
    breaks = without_sequences(text).replace("\r\n", "\n").expandtabs(4)
    return [one_line(line) for line in breaks.split("\n")]


def block(text: str) -> str:
    """Return a message of several lines, each as by `lines_of`."""
    return "\n".join(lines_of(text))


def log_line(text: bytes) -> bytes:
    r"""Return a line of a log for a terminal, with its line break if it has one.

    Control sequences are left out, other control characters and invalid UTF-8 spelled out. A line that was overwritten,
    as by a progress bar, becomes several, so that nothing is hidden.
    """
    if _PLAIN_LINE.fullmatch(text):
        return text
    decoded = text.decode(errors="backslashreplace")
    end = "\n" if decoded.endswith("\n") else ""
    parts = [
        part for part in _REWRITES.split(without_sequences(decoded).removesuffix("\n")) if part
    ]
    shown = "\n".join("\t".join(map(one_line, part.split("\t"))) for part in parts)
    return (shown + end).encode()


def number_text(value: float | None) -> str:
    """Return a number with six significant digits; nothing for None."""
    return "" if value is None else f"{value:.6g}"


def duration_text(seconds: float | None, *, has_tenths: bool = True) -> str:
    """Return a duration: ``1.5s``, ``2m03s`` or ``1h02m``; nothing for None.

    Args:
        seconds: The seconds.
        has_tenths: False to round those below a minute, too.
    """
    if seconds is None:
        return ""
    if seconds < 59.5:
        return f"{seconds:.1f}s" if has_tenths else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def value_text(parameter: Parameter, text: str) -> str:
    """Return a parameter's value as it is written in the document; of a long float the first six digits."""
    is_number = parameter.parameter_type in (ParameterType.DOUBLE, ParameterType.DISCRETE)
    if is_number and len(text) > LONG_NUMBER and not text.lstrip("+-").isdigit():
        return number_text(float(text))
    return one_line(text)


def typed_text(value: object) -> str:
    """Return a value as a function gets it; of a long float the first six digits."""
    text = one_line(str(value))
    return number_text(value) if isinstance(value, float) and len(text) > LONG_NUMBER else text


def point_text(parameters: Sequence[Parameter], values: Mapping[str, str]) -> str:
    """Return a trial's parameters, in their order: ``rate=0.1, layers=2``."""
    return ", ".join(
        f"{one_line(parameter.name)}={value_text(parameter, values[parameter.name])}"
        for parameter in parameters
        if parameter.name in values
    )


def headline(message: str | None) -> str:
    """Return the most informative line of a trial's message: the last one of a traceback, else the first."""
    lines = [line for line in lines_of((message or "").strip()) if line.strip()] or [""]
    return lines[-1] if lines[0].startswith(("Traceback ", "...")) else lines[0]


def _visible(character: str) -> str:
    is_invisible = unicodedata.category(character) in _INVISIBLE or character in _BLANK_LETTERS
    if not is_invisible or character in _JOINERS:
        return character
    if character in _NAMES:
        return _NAMES[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # A byte of a file name that is no UTF-8, as Python keeps it.
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    # As Python writes it, in four digits or eight.
    return f"\\u{code:04x}" if len(f"{code:x}") <= 4 else f"\\U{code:08x}"
