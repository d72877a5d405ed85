"""Mistakes in the trial code that can be seen on this machine without running it: names that do not exist.

Modules are found as Python would find them, and read, but never imported.
"""

from __future__ import annotations

import difflib
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from sparksweep.errors import FieldError
from sparksweep_core.api import placeholders as ph
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.environment import PARAMETERS_ENV
from sparksweep_core.validation.checks import Parts
from sparksweep_core.validation.source_check import check_source
from sparksweep_trainer.slot.commands import ProgramNotFound, find_program

PATH = "spec.trialTemplate"


@dataclass(frozen=True)
class CodePlaces:
    """The places in which trials on this machine look for code."""

    home: Path
    """The directory of the Experiment's file."""
    paths: Sequence[str] = ()
    """Directories that Python searches before it."""

    def code_findings(self, parts: Parts) -> Iterator[FieldError]:
        """Yield what certainly keeps trials on this machine from running; nothing for what can't be read here."""
        template = parts.template
        if template is None or (template.function is None) == (template.command is None):
            return
        if template.function is not None:
            if template.source is None:
                yield from self._function(template.function, parts)
            yield from self._preload(template)
        elif template.command is not None:
            yield from self._command(template, template.command)

    def _function(self, function: str, parts: Parts) -> Iterator[FieldError]:
        module, _, name = function.partition(":")
        spec, missing = self._find(module)
        if spec is None:
            yield FieldError(f"{PATH}.function", self._not_found(module, missing))
            return
        origin = spec.origin or ""
        # A package's names may come from anywhere, which only its import can tell.
        if not origin.endswith(".py") or spec.submodule_search_locations is not None:
            return
        try:
            with tokenize.open(origin) as file:
                text = file.read()
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            yield FieldError(f"{PATH}.function", f"{origin} can't be read: {error}")
            return
        parameters = parts.parsed_parameters
        yield from check_source(
            text,
            function=name,
            parameter_names=None if parameters is None else [item.name for item in parameters],
            objective=parts.objective_name,
            file=self._shown(origin),
        )

    def _preload(self, template: TrialTemplate) -> Iterator[FieldError]:
        own = (template.function or "").partition(":")[0] if template.source is not None else None
        for index, module in enumerate(template.preload or []):
            spec, missing = self._find(module)
            if spec is None and module != own:
                path = f"{PATH}.preload[{index}]"
                yield FieldError(path, self._not_found(module, missing))

    def _command(self, template: TrialTemplate, command: Sequence[str]) -> Iterator[FieldError]:
        word = command[0]
        if "${" in word or not word.strip():
            return
        given = {variable.name: variable.value for variable in template.env}
        path = given.get("PATH") or os.environ.get("PATH", os.defpath)
        try:
            find_program(word, directory=str(self.home), path=path)
        except ProgramNotFound as error:
            text = str(error).removeprefix("command: ")
            yield FieldError(f"{PATH}.command[0]", text)

    # ------------------------------------------------------------------ modules

    def _find(self, module: str) -> tuple[ModuleSpec | None, str]:
        """Return the spec of a module, or the dotted name of the first part that does not exist."""
        search: Sequence[str] | None = None
        name = ""
        spec: ModuleSpec | None = None
        for part in module.split("."):
            name = f"{name}.{part}" if name else part
            spec = self._find_part(name, search)
            if spec is None:
                return None, name
            search = spec.submodule_search_locations or []
        return spec, module

    def _find_part(self, name: str, search: Sequence[str] | None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, self._searched if search is None else search)
        if spec is not None:
            return spec
        # Built-in modules, and packages that are installed in an editable way.
        for finder in sys.meta_path:
            if finder is not PathFinder:
                spec = finder.find_spec(name, search)
                if spec is not None:
                    return spec
        return None

    @property
    def _searched(self) -> list[str]:
        """Directories in Python's order; a trial's Python does not search the directory that it starts in."""
        return [*self.paths, str(self.home), *(path for path in sys.path if path)]

    def _not_found(self, module: str, missing: str) -> str:
        parent, _, part = missing.rpartition(".")
        if parent:
            directories = list(
                (self._find(parent)[0] or ModuleSpec(parent, None)).submodule_search_locations or []
            )
            if not directories:
                return f"there is no module {module}: {parent} is a module and no package"
        else:
            directories = [*self.paths, str(self.home)]
        where = f"in {' or '.join(directories)}" if parent else f"in {self.home}"
        if not parent:
            where += " or among the installed packages"
            directories = [*directories, sysconfig.get_path("purelib")]
        names = sorted({name for directory in directories for name in _modules_in(directory)})
        message = f"there is no module {missing} {where}"
        close = difflib.get_close_matches(part, names, n=1)
        return (
            f"{message}: did you mean {parent + '.' if parent else ''}{close[0]}?"
            if close
            else message
        )

    def _shown(self, origin: str) -> str:
        try:
            return str(Path(origin).relative_to(self.home))
        except ValueError:
            return origin


def code_notes(template: TrialTemplate, parameters: Sequence[str]) -> list[str]:
    """Return a sentence for each parameter that a command does not mention: it may still read its environment."""
    if template.command is None or template.trial_parameters:
        return []
    used = ph.placeholders(template.command)
    return [
        f"{PATH}.command does not use the parameter {name}: write ${{{ph.parameter_key(name)}}} where its value "
        f"belongs, or read it from {PARAMETERS_ENV}"
        for name in parameters
        if ph.parameter_key(name) not in used
    ]


def _modules_in(directory: str) -> Iterator[str]:
    """Yield the names of modules and packages in a directory."""
    try:
        entries = list(os.scandir(directory or os.curdir))
    except OSError:
        return
    for entry in entries:
        name, extension = os.path.splitext(entry.name)
        if name.isidentifier() and (extension == ".py" or (not extension and entry.is_dir())):
            yield name
