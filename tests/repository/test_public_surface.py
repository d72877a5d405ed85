"""Every package's ``__all__`` is the truth: what it names exists and is documented, and nothing else is public."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import sparksweep
import sparksweep_operator
import sparksweep_trainer


def modules() -> Iterator[ModuleType]:
    for root in (sparksweep, sparksweep_operator, sparksweep_trainer):
        yield root
        for found in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            yield importlib.import_module(found.name)


ALL_MODULES = sorted(modules(), key=lambda module: module.__name__)
LISTING = [module for module in ALL_MODULES if hasattr(module, "__all__")]
LISTING_PACKAGES = [module for module in LISTING if hasattr(module, "__path__")]


def name_of(module: ModuleType) -> str:
    return module.__name__


@pytest.mark.parametrize("module", ALL_MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: ModuleType) -> None:
    assert (module.__doc__ or "").strip()


@pytest.mark.parametrize("module", LISTING, ids=name_of)
def test_every_name_in_all_exists_once_and_in_order(module: ModuleType) -> None:
    names = list(module.__all__)
    assert sorted(set(names)) == names
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", LISTING_PACKAGES, ids=name_of)
def test_a_package_offers_nothing_beside_its_all(module: ModuleType) -> None:
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


def test_the_api_and_the_errors_say_what_is_public() -> None:
    names = {module.__name__ for module in LISTING}
    assert {"sparksweep.api", "sparksweep.errors", "sparksweep.local"} <= names
