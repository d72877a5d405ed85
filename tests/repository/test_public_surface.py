"""Every package's ``__all__`` is complete: its names exist and are documented, and no other name is public."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import sparksweep
import sparksweep_core
import sparksweep_operator
import sparksweep_trainer


def modules() -> Iterator[ModuleType]:
    for root in (sparksweep, sparksweep_core, sparksweep_operator, sparksweep_trainer):
        yield root
        for found in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            yield importlib.import_module(found.name)


ALL_MODULES = sorted(modules(), key=lambda module: module.__name__)
LISTING = [module for module in ALL_MODULES if hasattr(module, "__all__")]


def only_re_exports(module: ModuleType) -> bool:
    """Return True if a module is a package without code of its own, so that it has re-exports only."""
    return hasattr(module, "__path__") and not any(
        getattr(value, "__module__", None) == module.__name__
        for value in vars(module).values()
        if inspect.isfunction(value) or inspect.isclass(value)
    )


FACADES = [module for module in LISTING if only_re_exports(module)]


def name_of(module: ModuleType) -> str:
    return module.__name__


@pytest.mark.parametrize("module", ALL_MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: ModuleType) -> None:
    assert (module.__doc__ or "").strip()


@pytest.mark.parametrize("module", LISTING, ids=name_of)
def test_every_name_in_all_exists_once_and_in_order(module: ModuleType) -> None:
    names = list(module.__all__)
    # Constants come first, as ruff sorts them.
    assert sorted(set(names), key=lambda name: (not name.isupper(), name)) == names
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", FACADES, ids=name_of)
def test_a_package_that_only_re_exports_offers_nothing_beside_its_all(module: ModuleType) -> None:
    offered = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert offered <= set(module.__all__)


@pytest.mark.parametrize("module", LISTING, ids=name_of)
def test_every_public_class_and_function_is_documented(module: ModuleType) -> None:
    public = [getattr(module, name) for name in module.__all__]
    undocumented = [
        value.__qualname__
        for value in public
        if (inspect.isclass(value) or inspect.isfunction(value))
        # A class would show its base's docstring, which says nothing about it.
        and not (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__)
    ]
    assert undocumented == []


def test_what_others_build_on_says_what_is_public() -> None:
    assert {"sparksweep_core.api", "sparksweep_core.planner", "sparksweep_core.algorithms"} <= set(
        map(name_of, FACADES)
    )
    assert "sparksweep.errors" in map(name_of, LISTING)
