"""Turns a Python function into the text of a module that an Experiment can hold: the function pickled by value.

Pickling by value means that trials need not have the function's module: the objects that it refers to in ``__main__``, in
a notebook and in the user's own modules are included; installed packages are imported in the trial.
`sparksweep.shipped` loads the text.
"""

from __future__ import annotations

import base64
import site
import sys
import sysconfig
import textwrap
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sparksweep.errors import FieldError, InvalidExperiment

MODULE = "sparksweep_function"
"""The name of a shipped function's module in a trial."""
MAX_BYTES = 900 * 1000
"""Largest size of a module's text. A ConfigMap holds at most 1 MiB, its own fields included."""

_OURS = ("sparksweep", "sparksweep_core", "sparksweep_operator", "sparksweep_trainer")
_registering = threading.Lock()


@dataclass(frozen=True)
class Shipped:
    """A function as text."""

    reference: str
    """``module:function``, for the trial template."""
    source: str
    """The module's text."""


def ship(function: Callable[..., object]) -> Shipped:
    """Return the function as the text of a module.

    Raises:
        InvalidExperiment: It can't be pickled, or is too large; the message names the objects that cause it.
    """
    name = getattr(function, "__name__", type(function).__name__)
    pickled = zlib.compress(_pickled(function, name), 9)
    attribute = name if name.isidentifier() else "function"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    body = "\n".join(textwrap.wrap(base64.b64encode(pickled).decode(), 100))
    source = (
        f"# {_origin(function, name)}\n"
        "from sparksweep.shipped import load\n\n"
        f'{attribute} = load(name={name!r}, python="{python}", pickled="""\n{body}\n""")\n'
    )
    if len(source) > MAX_BYTES:
        largest = ", ".join(
            f"{part} ({size / 1000:,.0f} kB)" for part, size in _heaviest(function)[:3]
        )
        raise InvalidExperiment(
            [
                FieldError(
                    "function",
                    f"{name} takes {len(source) / 1000:,.0f} kB when pickled, more than {MAX_BYTES // 1000} kB: "
                    f"load data inside the function instead of referring to it{f'; it uses {largest}' if largest else ''}",
                )
            ]
        )
    return Shipped(f"{MODULE}:{attribute}", source)


def _origin(function: Callable[..., object], name: str) -> str:
    module = getattr(function, "__module__", None) or "somewhere"
    where = "a notebook or a program" if module == "__main__" else module
    return f"{name!r} of {where}, pickled by value by sparksweep's SDK"


def _pickled(function: Callable[..., object], name: str) -> bytes:
    import cloudpickle

    with _by_value():
        try:
            pickled: bytes = cloudpickle.dumps(function)
        # Classes raise errors of their own when they are pickled, such as a SparkSession.
        except Exception as error:
            culprits = [part for part, size in _parts(function) if size is None]
            about = f" because of {', '.join(culprits)}" if culprits else ""
            raise InvalidExperiment(
                [
                    FieldError(
                        "function",
                        f"{name} can't be pickled{about}: {_first_line(error)}; create it inside the function",
                    )
                ]
            ) from error
    return pickled


@contextmanager
def _by_value() -> Iterator[None]:
    """Register the user's own modules with cloudpickle to be pickled by value, while the context lasts."""
    import cloudpickle

    with _registering:
        before = cloudpickle.list_registry_pickle_by_value()
        modules = [module for module in _users_modules() if module.__name__ not in before]
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)


def _users_modules() -> list[ModuleType]:
    """Return the imported modules that trials lack: neither installed, nor Python's, nor sparksweep's."""
    installed = [Path(path).resolve() for path in _installed_paths()]
    modules = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if (
            not file
            or name != module.__name__
            or name == "__main__"
            or name.partition(".")[0] in _OURS
        ):
            continue
        path = Path(file).resolve()
        if not any(path.is_relative_to(root) for root in installed):
            modules.append(module)
    return modules


def _installed_paths() -> Iterator[str]:
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from site.getsitepackages()
    yield site.getusersitepackages()


def _parts(function: Callable[..., object]) -> list[tuple[str, int | None]]:
    """Return the objects outside a function that it refers to: name and pickled size, None if it can't be pickled."""
    import cloudpickle

    sizes: list[tuple[str, int | None]] = []
    for name, value in _referred(function).items():
        try:
            sizes.append((name, len(zlib.compress(cloudpickle.dumps(value), 1))))
        except Exception:
            sizes.append((name, None))
    return sizes


def _referred(function: Callable[..., object]) -> Mapping[str, object]:
    inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
    code = getattr(function, "__code__", None)
    references: dict[str, object] = {} if inner is None else dict(_referred(inner))
    if code is None:
        return references
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        references[name] = cell.cell_contents
    namespace = function.__globals__
    for name in code.co_names:
        if name in namespace and not isinstance(namespace[name], ModuleType):
            references[name] = namespace[name]
    return references


def _heaviest(function: Callable[..., object]) -> list[tuple[str, int]]:
    with _by_value():
        sizes = [(name, size) for name, size in _parts(function) if size is not None]
    return sorted(sizes, key=lambda item: -item[1])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
