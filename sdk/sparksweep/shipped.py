"""Loads a function that the SDK shipped as text, in a trial's process. `sparksweep._shipping` writes the text.

Not for users, but public: the text of every shipped function imports `load` from here, so the module's name and the
arguments of `load` must not change; a pickle names the other functions.

Imports cloudpickle and the standard library only: trials import it before the user's code.
"""

from __future__ import annotations

import base64
import functools
import importlib
import io
import pickle
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from sparksweep import _module_archive

__all__ = ["load"]

_MAIN = "__main__"


def load(
    *, name: str, python: str, pickled: str = "", modules: str = "", file: str | None = None
) -> Callable[..., object]:
    """Return the function, after making its modules and its classes known to this process under their names.

    Args:
        name: The function's name, for messages.
        python: The Python version that pickled it, such as ``3.11``; other versions can't read its byte code.
        pickled: The zlib-compressed pickle, as base64.
        modules: The archive of the user's own modules, compressed and encoded likewise; empty if there is none.
        file: The file of the caller, if the pickle and the archive are in a file beside it that ends in ``.pickle``.

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
    caller = sys._getframe(1).f_globals
    try:
        if file is not None:
            with Path(file).with_suffix(".pickle").open("rb") as opened:
                return _load(opened, caller, archive=pickle.load(opened))
        archive = pickle.loads(_decoded(modules)) if modules else {}
        return _load(io.BytesIO(_decoded(pickled)), caller, archive=archive)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs the module {error.name}, which is not installed where the trials run: "
            "use an image that has it"
        ) from error


def _decoded(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _load(
    stream: IO[bytes], caller: dict[str, Any], *, archive: Mapping[str, _module_archive.Entry]
) -> Callable[..., object]:
    importer = _module_archive.install(archive) if archive else None
    main = sys.modules[_MAIN]
    if getattr(main, "__file__", None) is None:
        # Processes that multiprocessing spawns run this file first, and so load the function, too.
        main.__file__ = caller.get("__file__")
    unpickler = pickle.Unpickler(stream)
    function: Callable[..., object] = unpickler.load()
    try:
        by_value: dict[tuple[str, str], object] = unpickler.load()
    except EOFError:
        # Text of an earlier version has the function alone.
        return function
    if importer is not None:
        for module, name, value in unpickler.load():
            importer.change(module, name, value)
    for (module, name), value in by_value.items():
        if module != _MAIN:
            setattr(sys.modules.setdefault(module, ModuleType(module)), name, value)
        elif caller.get("__name__") == "__mp_main__":
            # multiprocessing makes these variables those of __main__ afterwards.
            caller[name] = value
        else:
            setattr(main, name, value)
    return function


# ---------------------------------------------------------------------- named by pickles


def variables_of(module: str) -> dict[str, Any]:
    """Return the variables of a module."""
    return vars(importlib.import_module(module))


def caching(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Callable[..., Any]:
    """Return a function with an empty cache, as functools.lru_cache makes it."""
    return functools.lru_cache(maxsize, typed)(function)


def set_enum_state(kind: Any, state: tuple[Any, Mapping[str, Mapping[str, object]]]) -> None:
    """Give an enum of cloudpickle its state, and its members the attributes that their ``__init__`` had set."""
    import cloudpickle

    of_class, members = state
    cloudpickle.cloudpickle._class_setstate(kind, of_class)
    for name, attributes in members.items():
        vars(kind[name]).update(attributes)


def dispatching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that has no other implementation yet, as functools.singledispatch makes it."""
    return functools.singledispatch(function)


def add_dispatched(
    function: Any, state: tuple[Mapping[type, Callable[..., Any]], Mapping[str, Any]]
) -> None:
    """Add the implementations for other types to a function of `dispatching`."""
    implementations, attributes = state
    for kind, implementation in implementations.items():
        function.register(kind, implementation)
    for name, value in attributes.items():
        if name not in vars(function):
            setattr(function, name, value)
