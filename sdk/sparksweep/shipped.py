"""Loads a function that the SDK shipped as text, in a trial's process. `sparksweep._shipping` writes the text.

Not for users, but public: the text of every shipped function imports `load` from here, so the module's name and the
arguments of `load` must not change.

Imports cloudpickle and the standard library only: trials import it before the user's code.
"""

from __future__ import annotations

import base64
import pickle
import sys
import zlib
from collections.abc import Callable

__all__ = ["load"]


def load(*, name: str, python: str, pickled: str) -> Callable[..., object]:
    """Return the function.

    Args:
        name: The function's name, for messages.
        python: The Python version that pickled it, such as ``3.11``; other versions can't read its byte code.
        pickled: The zlib-compressed pickle, as base64.

    Raises:
        ImportError: This Python can't load it; the message names a remedy.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != python:
        raise ImportError(
            f"{name} was pickled by Python {python} and can't be loaded by Python {here}, which trials run with: "
            f"submit it from Python {here}, use an image with Python {python}, "
            "or name the function as module:function"
        )
    try:
        import cloudpickle  # noqa: F401 - the pickle imports it by name
    except ImportError:
        raise ImportError(
            f"{name} was shipped by cloudpickle, which the trial's image lacks: add it there"
        ) from None
    try:
        function: Callable[..., object] = pickle.loads(zlib.decompress(base64.b64decode(pickled)))
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs the module {error.name}, which is not installed where the trials run: "
            "use an image that has it"
        ) from error
    return function
