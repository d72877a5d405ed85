"""Brings back, in a trial's process, a function that the SDK shipped as text. See `shipping`, the other end.

Standard library only, but for cloudpickle itself: it is imported in trials before the user's code.
"""

from __future__ import annotations

import base64
import pickle
import sys
import zlib
from collections.abc import Callable

__all__ = ["load"]


def load(*, name: str, python: str, pickled: str) -> Callable[..., object]:
    """The function.

    Args:
        name: its name, for messages.
        python: the Python that pickled it, as ``3.11``; another one can't read its byte code.
        pickled: base64 of the compressed pickle.

    Raises:
        ImportError: this Python can't load it; the message says what would help.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != python:
        raise ImportError(
            f"{name} was pickled by Python {python} and can't be loaded by Python {here}, which trials run with: "
            f"submit it from Python {here}, use an image with Python {python}, "
            "or name the function as module:function"
        )
    try:
        import cloudpickle  # noqa: F401 - the pickle asks for it by name
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
