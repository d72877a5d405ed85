"""The modules that a function needs, by the way each reaches a trial: imported there, sent as source, or by value.

- Installed modules are imported where trials run: Python's own, those below site-packages, and those of a directory
  with metadata of their installation (``pip install --target``). So are extension modules.
- Modules of the user's own are sent as source, and a trial imports them under their own names: locks, caches and
  clients of a module are made anew there, and pickle finds its classes by their names. An editable installation is
  the user's own: no image has it.
- Objects of ``__main__``, of a notebook, and of modules whose source does not make what they hold are sent by value.
"""

from __future__ import annotations

import ast
import importlib.machinery
import pkgutil
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from sparksweep._shipping.changes import Edits, changed_values
from sparksweep._shipping.imports import imports_to_preload
from sparksweep._shipping.installed import is_installed
from sparksweep._shipping.sources import (
    codes,
    imported_names,
    is_made_by,
    prefixes,
    source_of,
)
from sparksweep._silence import no_warnings

PROVIDED = frozenset(
    ["sparksweep", "sparksweep_core", "sparksweep_operator", "sparksweep_trainer", "cloudpickle", "py4j", "pyspark"]
)  # fmt: skip
"""Packages that every trial has, wherever they lie here."""
_MAIN = ("__main__", "__mp_main__")


class Route(Enum):
    """The way in which a module's objects reach a trial."""

    IMPORT = "import"
    SOURCE = "source"
    VALUE = "value"


@dataclass
class _Module:
    """A module of the user's own, loaded or only found."""

    source: str | None
    """None: a namespace package, or a module that is sent by value."""
    path: str
    locations: list[str] | None
    """The directories of a package; None for a module that is none."""
    imports: list[str] = field(default_factory=list)
    """The modules that it imports, anywhere in its source."""
    tree: ast.Module | None = None
    """The source of a loaded module."""


class UserModules:
    """The modules of one function, classified when they are asked for."""

    def __init__(self) -> None:
        self._own: dict[str, tuple[Route, _Module | None]] = {}
        self._routes: dict[str, Route] = {}
        self._needed: dict[str, None] = {}
        self._imported: dict[str, None] = {}
        self._mentioned: set[str] = set()

    def route(self, name: str) -> Route:
        """Return a module's route: SOURCE only if all of the user's own modules that it imports can take it, too."""
        known = self._routes.get(name)
        if known is None:
            known, _ = self._classified(name)
            if known is Route.SOURCE:
                others = (self._classified(other)[0] for other in self._reached([name]))
                known = Route.VALUE if Route.VALUE in others else Route.SOURCE
            self._routes[name] = known
        return known

    def need(self, name: str) -> None:
        """Note that the function needs a module, which goes with it if its route is SOURCE."""
        if name not in self._needed and self.route(name) is Route.SOURCE:
            self._needed[name] = None

    def need_imports(self, code: types.CodeType, package: str) -> None:
        """Note the modules that code imports while it runs."""
        for inner in codes(code):
            self._mentioned.update(inner.co_names)
        for name in imported_names(code, package):
            self._imported[name] = None
            if self._classified(name)[0] is Route.SOURCE:
                self.need(name)
        for name in prefixes(code):
            route, module = self._classified(name)
            if route is Route.SOURCE and module is not None:
                self.need(name)
                for item in pkgutil.iter_modules(module.locations or ()):
                    self.need(f"{name}.{item.name}")

    def use(self, module: str, name: str = "") -> None:
        """Note a module that a trial imports to load the function, and the dotted name that it looks up there."""
        self._imported[module] = None
        self._mentioned.update(name.split("."))

    def imports(self) -> list[str]:
        """Return the installed modules that a trial imports and that are preloaded by default, by dotted names."""
        return imports_to_preload(self._imported, mentioned=self._mentioned, archive=self.archive())

    def changes(self, edits: Edits) -> Iterator[tuple[str, str, object]]:
        """Yield module, name and value of the variables that were changed since a needed module was imported.

        Modules that are needed meanwhile are among them.
        """
        own: Edits | None = None
        done = set[str]()
        while waiting := [name for name in self._names() if name not in done]:
            done.update(waiting)
            if own is None:
                # All own modules are read for it, which a function that needs none of them does not wait for.
                own = Edits.of_texts(self._texts(), functions_alone=True)
            for name in waiting:
                tree = self._module(name).tree
                if tree is not None:
                    changed = changed_values(sys.modules[name], tree, edits, own)
                    yield from ((name, variable, value) for variable, value in changed.items())

    def _texts(self) -> Iterator[str]:
        """Yield the sources of the user's own modules that are loaded, the function's or others."""
        # A package is installed as a whole: most of the modules need no look of their own.
        own = {
            top
            for top in {name.partition(".")[0] for name in [*sys.modules]}
            if top not in PROVIDED | sys.stdlib_module_names
            and self._classified(top)[0] is not Route.IMPORT
        }
        for name in [*sys.modules]:
            if name.partition(".")[0] in own:
                module = self._classified(name)[1]
                if module is not None and module.source is not None:
                    yield module.source

    def archive(self) -> dict[str, tuple[str | None, str, list[str] | None]]:
        """Return the needed modules for `sparksweep._module_archive.install`."""
        archive = {}
        for name in self._names():
            module = self._module(name)
            archive[name] = (module.source, module.path, module.locations)
        return archive

    def _names(self) -> list[str]:
        chosen = list(self._reached(self._needed))
        packages = {name for name in chosen if self._module(name).locations is not None}
        # A package may have found its plugins by listing its directory.
        loaded = [name for name in [*sys.modules] if name.rpartition(".")[0] in packages]
        extra = self._reached(name for name in loaded if self.route(name) is Route.SOURCE)
        return list(dict.fromkeys([*chosen, *extra]))

    def _module(self, name: str) -> _Module:
        module = self._classified(name)[1]
        assert module is not None
        return module

    def _reached(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the user's own modules that these import, directly or not, themselves and their packages included."""
        waiting, reached = list(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            route, module = self._classified(name)
            if route is Route.IMPORT:
                continue
            yield name
            waiting.extend(module.imports if module is not None else ())
            if "." in name:
                waiting.append(name.rpartition(".")[0])

    def _classified(self, name: str) -> tuple[Route, _Module | None]:
        if name not in self._own:
            # Modules import each other: the entry ends the recursion.
            self._own[name] = (Route.IMPORT, None)
            module = sys.modules.get(name)
            self._own[name] = (
                self._loaded(name, module) if module is not None else self._found(name)
            )
        return self._own[name]

    def _loaded(self, name: str, module: types.ModuleType) -> tuple[Route, _Module | None]:
        top = name.partition(".")[0]
        spec = getattr(module, "__spec__", None)
        file = getattr(module, "__file__", None)
        if name in _MAIN:
            return Route.VALUE, None
        if top in PROVIDED or getattr(spec, "origin", None) in ("built-in", "frozen"):
            return Route.IMPORT, None
        if not isinstance(file, str):
            return self._without_file(name, module)
        if is_installed(file, name) or file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            return Route.IMPORT, None
        source = source_of(name, file, getattr(spec, "loader", None))
        # A module that is still being imported may be the one that runs the experiment: its trials must not.
        if (
            source is None
            or name != getattr(module, "__name__", None)
            or getattr(spec, "_initializing", False)
        ):
            return Route.VALUE, None
        tree = _parsed(source)
        if tree is None or not is_made_by(module, tree, source, file):
            return Route.VALUE, None
        locations = getattr(module, "__path__", None)
        package = name if locations is not None else name.rpartition(".")[0]
        return Route.SOURCE, _Module(
            source,
            file,
            None if locations is None else [str(item) for item in locations],
            list(imported_names(tree, package)),
            tree,
        )

    def _without_file(self, name: str, module: types.ModuleType) -> tuple[Route, _Module | None]:
        locations = [str(item) for item in getattr(module, "__path__", None) or ()]
        parent = name.rpartition(".")[0]
        if locations:
            installed = all(is_installed(f"{item}/__init__.py", name) for item in locations)
            return (
                (Route.IMPORT, None) if installed else (Route.SOURCE, _Module(None, "", locations))
            )
        if name in sys.stdlib_module_names:
            return Route.IMPORT, None
        # Such as six.moves: an installed package has made it.
        return (self._classified(parent)[0] if parent else Route.VALUE), None

    def _found(self, name: str) -> tuple[Route, _Module | None]:
        """Classify a module that has not been imported, without importing it."""
        parent, _, _ = name.rpartition(".")
        path = None
        if parent:
            route, package = self._classified(parent)
            if route is not Route.SOURCE or package is None or package.locations is None:
                return Route.IMPORT, None
            path = package.locations
        if name.partition(".")[0] in PROVIDED | sys.stdlib_module_names:
            return Route.IMPORT, None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return Route.IMPORT, None
        locations = spec.submodule_search_locations
        places = None if locations is None else [str(item) for item in locations]
        if spec.origin is None:
            return Route.SOURCE, _Module(None, "", places)
        if is_installed(spec.origin, name):
            return Route.IMPORT, None
        source = source_of(name, spec.origin, spec.loader)
        tree = None if source is None else _parsed(source)
        if tree is None:
            return Route.IMPORT, None
        package_name = name if places is not None else parent
        imports = list(imported_names(tree, package_name))
        return Route.SOURCE, _Module(source, spec.origin, places, imports=imports)


def _parsed(source: str) -> ast.Module | None:
    try:
        # Warnings of the user's code were shown at its import.
        with no_warnings():
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
