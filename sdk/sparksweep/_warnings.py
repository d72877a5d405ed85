"""Warnings that name the line of the user's program that made the call."""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Issue a UserWarning at the innermost frame outside of this package, at any depth of calls inside of it."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__")):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_inside(module: object) -> bool:
    return str(module) == _PACKAGE or str(module).startswith(f"{_PACKAGE}.")
