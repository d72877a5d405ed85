"""Imports the user's own modules that came with a function, in a trial's process. `sparksweep._shipping` packs them.

Standard library only: trials import it before the user's code. Modules have the names, files and directories that they
had where the experiment was built: what is not in the archive (data beside a module, an extension module) is found
there by a trial on the same machine, and by no other.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

Entry = tuple[str | None, str, list[str] | None]
"""A module: its source (None: a namespace package), its file, and a package's directories."""

_MISSING = object()


@dataclass(frozen=True)
class Registered:
    """Implementations of a function of functools.singledispatch that other modules have registered."""

    implementations: dict[type, Callable[..., object]]


class ArchiveImporter(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
    """Finds and loads the modules of an archive."""

    def __init__(self, modules: Mapping[str, Entry]) -> None:
        self._modules = modules
        self._changes: dict[str, dict[str, object]] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the archive; None for any other."""
        entry = self._modules.get(fullname)
        if entry is None:
            return None
        source, file, locations = entry
        if source is None:
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        else:
            spec = importlib.machinery.ModuleSpec(
                fullname, self, origin=file, is_package=locations is not None
            )
            spec.has_location = True
        if locations is not None:
            spec.submodule_search_locations = list(locations)
        return spec

    def get_source(self, fullname: str) -> str:
        """Return a module's source, for tracebacks and for `inspect`."""
        entry = self._modules.get(fullname)
        if entry is None or entry[0] is None:
            raise ImportError(f"no source of {fullname} came with the function", name=fullname)
        return entry[0]

    def get_filename(self, fullname: str) -> str:
        """Return the file of a module where the experiment was built."""
        return self._modules[fullname][1]

    def is_package(self, fullname: str) -> bool:
        """Return whether a module is a package."""
        return self._modules[fullname][2] is not None

    def get_data(self, path: str) -> bytes:
        """Return a file beside a module, for `pkgutil.get_data`: only on the machine where the experiment was built."""
        with open(path, "rb") as file:
            return file.read()

    def get_resource_reader(self, fullname: str) -> object:
        """Return a reader of the files beside a module, for `importlib.resources`: as for `get_data`."""
        from importlib.readers import FileReader

        return FileReader(SimpleNamespace(path=self.get_filename(fullname)))  # type: ignore[arg-type]

    def exec_module(self, module: ModuleType) -> None:
        """Run a module, and set the variables that were changed where the experiment was built."""
        super().exec_module(module)
        for name, value in self._changes.pop(module.__name__, {}).items():
            _set(module, name, value)

    def change(self, module: str, name: str, value: object) -> None:
        """Set a variable of a module, or ``Class.attribute``, after its import if it has not been imported yet."""
        loaded = sys.modules.get(module)
        if loaded is None:
            self._changes.setdefault(module, {})[name] = value
        else:
            _set(loaded, name, value)


def _set(module: ModuleType, path: str, value: object) -> None:
    """Set a variable, or ``name.attribute``; a container in place, since other variables may hold the same one."""
    holder: object = module
    *holders, name = path.split(".")
    for item in holders:
        holder = getattr(holder, item, None)
    if holder is None:
        # The import made no such object here.
        return
    current = getattr(holder, "__dict__", {}).get(name, _MISSING)
    if isinstance(value, Registered):
        for kind, implementation in value.implementations.items():
            current.register(kind, implementation)
        return
    if isinstance(current, list) and isinstance(value, list):
        current[:] = value
    elif (isinstance(current, dict) and isinstance(value, dict)) or (
        isinstance(current, set) and isinstance(value, set)
    ):
        current.clear()
        current.update(value)
    elif isinstance(holder, type | ModuleType):
        setattr(holder, name, value)
    elif isinstance(getattr(holder, "__dict__", None), dict) and (
        name in vars(holder) or not hasattr(holder, name)
    ):
        # As it was read: a class may refuse or redirect assignments.
        vars(holder)[name] = value
    else:
        object.__setattr__(holder, name, value)


def install(modules: Mapping[str, Entry]) -> ArchiveImporter:
    """Have this process import these modules from the archive, before any of the same name elsewhere."""
    for name in [*sys.modules]:
        top = name.partition(".")[0]
        if top in modules and not _is_same(name, modules):
            # Another module of that name, such as the standard library's statistics for the user's own.
            del sys.modules[name]
    importer = ArchiveImporter(modules)
    sys.meta_path.insert(0, importer)
    return importer


def _is_same(name: str, modules: Mapping[str, Entry]) -> bool:
    """Return whether a loaded module is the archive's own: a preloaded one is kept if its file has not changed."""
    entry = modules.get(name)
    loaded = sys.modules[name]
    if entry is None:
        parent = name.rpartition(".")[0]
        return parent in sys.modules and _is_same(parent, modules)
    if entry[0] is None:
        return list(getattr(loaded, "__path__", ())) == entry[2]
    if getattr(loaded, "__file__", None) != entry[1]:
        return False
    try:
        with open(entry[1], "rb") as file:
            return importlib.util.decode_source(file.read()) == entry[0]
    except (OSError, SyntaxError, UnicodeError):
        return False
