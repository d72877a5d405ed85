"""Description of an exception for people: the exception first, its traceback after it, both bounded.

An exception is the user's object: its class may be broken in every method, and describing it must not fail. Standard
library only.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

MAX_NAME = 128
MAX_HEAD = 1000
"""Maximum length of the exception's own text in the message."""
MAX_TRACEBACK = 2000
"""Maximum length of the traceback in the message, from its end."""
_HEADER = "Traceback (most recent call last):"
_OWN = os.path.dirname(__file__) + os.sep
_FEWEST_FRAMES = 1000


@dataclass(frozen=True)
class Described:
    """An exception in words."""

    name: str
    """Name of its class."""
    message: str
    """The exception, then its traceback: bounded."""
    traceback: str
    """The whole traceback, as Python prints it."""
    is_memory_error: bool


def describe_exception(error: BaseException) -> Described:
    """Describe an exception. Raises nothing, whatever the exception's class does."""
    try:
        # A function that lowered the limit leaves no frames to describe its error with.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _FEWEST_FRAMES))
        is_memory_error = isinstance(error, MemoryError)
        name = str(type(error).__name__)[:MAX_NAME]
    except BaseException:
        is_memory_error, name = False, "Exception"
    try:
        formatted = traceback.TracebackException(
            type(error), error, _without_own_frames(error.__traceback__)
        )
        whole = "".join(formatted.format()).strip()
        message = _message(_head(formatted), whole)
    except BaseException:
        whole = message = f"{name}: <this exception can't be shown: its own class raises>"
    return Described(name, message, whole, is_memory_error)


def describe_import_error(error: BaseException, paths: Sequence[str]) -> str:
    """Describe an error of an import in a few words: the exception, and the line of the user's code. Raises nothing.

    Args:
        error: the exception.
        paths: directories with the user's modules.
    """
    described = describe_exception(error)
    try:
        formatted = traceback.TracebackException(
            type(error), error, _without_own_frames(error.__traceback__)
        )
        head = _head(formatted)[:MAX_HEAD]
        place = _place(formatted.stack, paths)
        if not place or issubclass(formatted.exc_type, SyntaxError):
            # Python has named the line.
            return head
        first, *others = head.split("\n")
        return "\n".join([f"{first} ({place})", *others])
    except BaseException:
        return described.message


def _place(stack: traceback.StackSummary, paths: Sequence[str]) -> str:
    """Return the last line of the user's code that was run, and the last one of all if it is another's."""
    frames = [frame for frame in stack if not frame.filename.startswith("<frozen ")]
    users = [
        frame
        for frame in frames
        if any(frame.filename.startswith(path.rstrip(os.sep) + os.sep) for path in paths)
        and "-packages" + os.sep not in frame.filename
    ]
    if not users:
        return ""
    place = f"{users[-1].filename}, line {users[-1].lineno}"
    if frames[-1] is not users[-1]:
        place += f"; raised in {frames[-1].filename}, line {frames[-1].lineno}"
    return place


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames of this package, which called the user's code."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    return trace


def _head(formatted: traceback.TracebackException) -> str:
    """Return the exception's own lines: its class, its text and its notes."""
    lines = "".join(formatted.format_exception_only()).strip()
    if issubclass(formatted.exc_type, SyntaxError):
        # Python names the file and quotes the line before the error.
        place = f" ({formatted.filename}, line {formatted.lineno})" if formatted.lineno else ""
        return f"{formatted.exc_type.__name__}: {formatted.msg}{place}"
    return lines


def _message(head: str, whole: str) -> str:
    frames = whole.removesuffix(head).rstrip()
    short = head if len(head) <= MAX_HEAD else f"{head[:MAX_HEAD]}..."
    if not frames or frames == _HEADER:
        return short
    return f"{short}\n{_end(frames)}"


def _end(text: str) -> str:
    """Return the last lines of a text, where the frames are that raised."""
    if len(text) <= MAX_TRACEBACK:
        return text
    cut = text[-MAX_TRACEBACK:]
    return "...\n" + (cut.partition("\n")[2] or cut)
