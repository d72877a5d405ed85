"""The modules that a fork server imports if the template has no ``preload``: of those that the function imports, the
ones that are safe to fork. Modules are found as a trial would find them, and read, but never imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from sparksweep_core.api.template import TrialTemplate
from sparksweep_trainer.slot.import_scan import ModuleText, imported_by
from sparksweep_trainer.slot.preloadable import preloadable

_PROVIDED = ("sparksweep", "sparksweep_core", "sparksweep_trainer")
"""Packages that are never the user's own, even where a checkout of them is on the path."""


def default_preloads(
    template: TrialTemplate, *, paths: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """Return the modules to import before the first fork; none if the template says which, or has a command.

    Args:
        template: the function and its source.
        paths: directories in which a trial searches modules first.
        environment: the trial's variables, `paths` not among them.
    """
    if template.function is None or template.preload is not None:
        return []
    inherited = environment.get("PYTHONPATH", "").split(os.pathsep)
    own = OwnModules(
        template.function.partition(":")[0], paths=paths, later=[*inherited, *sys.path]
    )
    return preloadable(imported_by(template.function, own.find), environment)


class OwnModules:
    """Finds the modules of the user's own: those in the directories that are searched first, and beside the function's."""

    def __init__(self, module: str, *, paths: Sequence[str], later: Sequence[str]) -> None:
        """Find the module of the function.

        Args:
            module: its dotted name.
            paths: directories and zip archives of the user.
            later: directories that Python searches afterwards.
        """
        self._top = module.partition(".")[0]
        self._paths = [path for path in paths if not _is_installation(path)]
        self._all = [*paths, *(path for path in later if path)]
        spec = PathFinder.find_spec(self._top, self._all)
        for location in _locations(spec):
            if not _is_installation(location):
                self._paths.append(location)

    def find(self, name: str) -> ModuleText | None:
        """Return the source of a module; None if it is not the user's own, or can't be read."""
        top, *rest = name.split(".")
        if top in sys.stdlib_module_names or top in _PROVIDED:
            return None
        spec = PathFinder.find_spec(top, self._all if top == self._top else self._paths)
        dotted = top
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return None
            dotted = f"{dotted}.{part}"
            spec = _find_in_package(dotted, list(spec.submodule_search_locations))
        return None if spec is None else _text(spec)


def _find_in_package(name: str, locations: Sequence[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, locations)
    except KeyError:
        # A directory without __init__.py; Python looks for its parent among the imported modules.
        part = name.rpartition(".")[2]
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [os.path.join(item, part) for item in locations]
        return spec


def _text(spec: ModuleSpec) -> ModuleText | None:
    is_package = spec.submodule_search_locations is not None
    if spec.loader is None or spec.origin is None:
        # A package without a file of its own.
        return ModuleText("", is_package=True) if is_package else None
    get_source = getattr(spec.loader, "get_source", None)
    try:
        text = None if get_source is None else get_source(spec.name)
    except (ImportError, OSError, SyntaxError, UnicodeError):
        return None
    return None if text is None else ModuleText(text, is_package=is_package)


def _locations(spec: ModuleSpec | None) -> list[str]:
    """Return the directories that hold a top-level module."""
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [str(Path(item).parent) for item in spec.submodule_search_locations]
    return [str(Path(spec.origin).parent)] if spec.origin else []


def _is_installation(directory: str) -> bool:
    """Return whether installed packages are in a directory: `pip` writes metadata beside each."""
    try:
        with os.scandir(directory) as entries:
            return any(entry.name.endswith(".dist-info") for entry in entries)
    except OSError:
        return False
