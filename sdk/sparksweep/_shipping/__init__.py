"""Turns a Python function into the text of a module that an Experiment can hold: the function pickled by value.

Pickling by value means that trials need not have the function's module: what it refers to in ``__main__`` and in a
notebook is included; the user's own modules go with it as source, and installed packages are imported in the trial.
`sparksweep.shipped` loads the text. Modules, in the order of use:

- `user_modules`: the way in which each module reaches a trial, with `installed`, `sources` and `changes`
- `pickler`: cloudpickle with these ways, and with objects that it lacks
- `imports`: the installed modules that a slot may preload
- `culprits`: the path to an object that can't be pickled, with `references`
"""

from __future__ import annotations

import base64
import keyword
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.contract.names import SHIPPED_MODULE
from sparksweep_trainer.slot.import_scan import LISTED

if TYPE_CHECKING:
    from sparksweep._shipping.pickler import Pickled

MODULE = SHIPPED_MODULE
"""The name of a shipped function's module in a trial."""
MAX_BYTES = 900 * 1000
"""Largest size of a module's text on a cluster. A ConfigMap holds at most 1 MiB, its own fields included."""

_LINE = 100
_CHUNK = 1 << 20
_MAX_ATTRIBUTE = 200
_LARGEST = 3


@dataclass(frozen=True)
class Shipped:
    """A function as bytes, and as the text of a module if it is small enough."""

    function: Callable[..., object]
    name: str
    """The function's name, for messages."""
    pickled: Pickled = field(repr=False)

    @property
    def reference(self) -> str:
        """``module:function``, for the trial template."""
        return f"{MODULE}:{self._attribute}"

    @property
    def _attribute(self) -> str:
        # The API takes ASCII names.
        name = self.name
        is_usable = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
        return name if is_usable and len(name) <= _MAX_ATTRIBUTE else "function"

    @cached_property
    def source(self) -> str | None:
        """The module's text; None if it has more than `MAX_BYTES`."""
        encoded = {}
        for argument in ("modules", "pickled"):
            data = self.pickled.modules if argument == "modules" else self.pickled.function
            compressed = _compressed(data, limit=MAX_BYTES * 3 // 4)
            if compressed is None:
                return None
            if data:
                encoded[argument] = f'"""\n{_wrapped(base64.b64encode(compressed).decode())}\n"""'
        source = self._text(encoded)
        return source if len(source) <= MAX_BYTES else None

    @property
    def files(self) -> dict[str, bytes]:
        """The files of a directory that Python can import the module from, whatever its size."""
        if self.source is not None:
            return {f"{MODULE}.py": self.source.encode()}
        return {
            f"{MODULE}.py": self._text({"file": "__file__"}).encode(),
            f"{MODULE}.pickle": (self.pickled.modules or _NO_MODULES) + self.pickled.function,
        }

    def refusal(self) -> InvalidExperiment:
        """Return the error of a function that is too large for a cluster; it names the largest objects."""
        size = len(self.pickled.function) + len(self.pickled.modules)
        parts = sorted(_sizes(self.function), key=lambda part: -part[1])[:_LARGEST]
        uses = ", ".join(f"{name} ({_size(size)})" for name, size in parts)
        return _invalid(
            f"{self.name} takes {_size(size)} when pickled, and more than {MAX_BYTES // 1000} kB compressed, which is too "
            f"large for a cluster{f'; it uses {uses}' if uses else ''}: load data inside the function, from a volume or "
            "with sparksweep.data, instead of referring to it"
        )

    def _text(self, arguments: dict[str, str]) -> str:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        given = {"name": repr(self.name), "python": f'"{python}"', **arguments}
        call = ", ".join(f"{key}={value}" for key, value in given.items())
        return (
            f"# {self._origin}\n"
            "from sparksweep.shipped import load\n\n"
            f"{self._imports}"
            f"{self._attribute} = load({call})\n"
        )

    @property
    def _imports(self) -> str:
        """The variable in which a slot finds the modules to preload: it does not unpickle the function."""
        lines = "".join(f'    "{name}",\n' for name in self.pickled.imports)
        return f"{LISTED} = [\n{lines}]\n" if lines else ""

    @property
    def _origin(self) -> str:
        module = getattr(self.function, "__module__", None) or "somewhere"
        where = "a notebook or a program" if module == "__main__" else repr(str(module))
        return f"{self.name!r} of {where}, pickled by value by sparksweep's SDK"


_NO_MODULES = b"\x80\x04}."
"""The pickle of an empty dictionary."""


def ship(function: Callable[..., object]) -> Shipped:
    """Return the function as text.

    Raises:
        InvalidExperiment: It can't be pickled; the message names the object that causes it.
    """
    # cloudpickle is imported only here: commands that name a function as module:function don't need it.
    from sparksweep._functions import name_of
    from sparksweep._shipping.culprits import culprit
    from sparksweep._shipping.pickler import pickled

    name = name_of(function)
    try:
        return Shipped(function, name, pickled(function))
    # Classes raise errors of their own when they are pickled, such as a SparkSession.
    except Exception as error:
        found = culprit(function)
        about = f" because of {found[0]} ({_kind(found[1])})" if found is not None else ""
        raise _invalid(
            f"{name} can't be pickled{about}: {_first_line(error)}; create it inside the function, or in a module of "
            "your own, which trials import"
        ) from error


def _sizes(function: Callable[..., object]) -> Iterator[tuple[str, int]]:
    """Yield name and pickled size of the objects outside a function that it refers to."""
    from sparksweep._shipping.pickler import pickled
    from sparksweep._shipping.references import referred

    for name, value in referred(function).items():
        yield name, len(pickled(value).function)


def _compressed(data: bytes, *, limit: int) -> bytes | None:
    """Return the data compressed; None as soon as that takes more than `limit` bytes."""
    compressor = zlib.compressobj(9 if len(data) < 2 * _CHUNK else 1)
    parts, size = [], 0
    view = memoryview(data)
    for start in range(0, len(data), _CHUNK):
        parts.append(compressor.compress(view[start : start + _CHUNK]))
        size += len(parts[-1])
        if size > limit:
            return None
    return b"".join([*parts, compressor.flush()])


def _wrapped(text: str) -> str:
    return "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1000:,.0f} kB"


def _kind(value: object) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _invalid(message: str) -> InvalidExperiment:
    return InvalidExperiment([FieldError("function", message)])
