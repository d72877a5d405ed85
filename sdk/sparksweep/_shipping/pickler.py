"""Pickles a function with cloudpickle, its user's modules apart, and what cloudpickle itself can't."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import io
import pickle
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from sparksweep import shipped
from sparksweep._shipping.changes import DISPATCHER, Edits
from sparksweep._shipping.user_modules import PROVIDED, Route, UserModules

_registering = threading.Lock()
_STREAMS = ("stdin", "stdout", "stderr")
_OF_MEMBERS = ("_value_", "_name_", "__objclass__", "_sort_order_")
"""Attributes that every member of an enum has."""
_OFDISPATCHERS = ("registry", "dispatch", "register", "_clear_cache")
"""Attributes that functools.singledispatch gives to a function."""


@dataclass(frozen=True)
class Pickled:
    """A function as bytes."""

    function: bytes
    """Pickles with one memo: the function; the classes and functions by value by their modules and names; and, if there
    are modules, the changed variables as tuples of module, name and value."""
    modules: bytes
    """The pickle of `UserModules.archive`; empty if there is none."""
    imports: tuple[str, ...] = ()
    """The result of `UserModules.imports`."""


def pickled(function: object) -> Pickled:
    """Return a function as bytes. Errors are those of the objects that can't be pickled."""
    modules = UserModules()
    buffer = io.BytesIO()
    with registry_restored():
        pickler = FunctionPickler(buffer, modules)
        pickler.dump(function)
        changes = [
            change
            for change in modules.changes(Edits.of_texts(_texts_of_the_program()))
            # An object that can't be pickled was most likely made when it was first needed, as it will be in a trial.
            if can_be_pickled(change, modules)
        ]
        # Classes in the changed variables are noted here, and pickled below.
        FunctionPickler(Nowhere(), modules, pickler.by_value).dump(changes)
        pickler.dump(pickler.by_value)
        archive = modules.archive()
        if archive:
            pickler.dump(changes)
    return Pickled(
        buffer.getvalue(),
        pickle.dumps(archive, protocol=5) if archive else b"",
        imports=tuple(modules.imports()),
    )


@contextmanager
def registry_restored() -> Iterator[None]:
    """Restore cloudpickle's registry of modules by value at the end of the context."""
    with _registering:
        before = cloudpickle.list_registry_pickle_by_value()
        try:
            yield
        finally:
            for name in cloudpickle.list_registry_pickle_by_value() - before:
                cloudpickle.unregister_pickle_by_value(
                    sys.modules.get(name) or types.ModuleType(name)
                )


class FunctionPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler of one function and all that it refers to. Use it within `registry_restored`."""

    def __init__(
        self,
        file: Any,
        modules: UserModules,
        by_value: dict[tuple[str, str], object] | None = None,
    ) -> None:
        super().__init__(file)
        self._modules = modules
        self.by_value = {} if by_value is None else by_value
        """The classes and functions that pickle finds by a module and a name, and that have been sent by value."""

    def reducer_override(self, obj: Any) -> Any:
        """Reduce an object, or return NotImplemented for pickle's own way."""
        if issubclass(type(obj), type):
            self._note(obj)
            return _completed(obj, super().reducer_override(obj))
        if isinstance(obj, types.FunctionType):
            self._note(obj)
            if obj.__code__ is DISPATCHER:
                return _reduce_dispatcher(obj) if _is_by_value(obj) else NotImplemented
            return super().reducer_override(obj)
        if isinstance(obj, types.ModuleType):
            name = obj.__name__
            if self._route(name) is Route.VALUE or sys.modules.get(name) is not obj:
                return NotImplemented
            self._modules.need(name)
            self._modules.use(name)
            return importlib.import_module, (name,)
        for name in _STREAMS:
            if obj is getattr(sys, name):
                return getattr, (sys, name)
        special = _REDUCERS.get(type(obj))
        if special is not None:
            return special(self, obj)
        if self.dispatch_table.get(type(obj)) is not None:
            return NotImplemented
        reduced = obj.__reduce_ex__(self.proto)
        if isinstance(reduced, str):
            self._by_name(obj, reduced)
        return reduced

    def _dynamic_function_reduce(self, func: types.FunctionType) -> Any:
        """Reduce a function by value; with the variables of its module, if trials can import that."""
        self._modules.need_imports(func.__code__, str(func.__globals__.get("__package__") or ""))
        make, new_arguments, state, *rest = super()._dynamic_function_reduce(func)
        home = func.__globals__.get("__name__")
        module = sys.modules.get(home) if isinstance(home, str) else None
        if (
            module is None
            or vars(module) is not func.__globals__
            or module.__name__.partition(".")[0] in PROVIDED
            or self._route(module.__name__) is Route.VALUE
        ):
            return (make, new_arguments, state, *rest)
        self._modules.need(module.__name__)
        code, _, *others = new_arguments
        attributes, slots = state
        arguments = (code, _Variables(module.__name__), *others)
        return (make, arguments, (attributes, {**slots, "__globals__": {}}), *rest)

    def _note(self, obj: Any) -> None:
        """Note where pickle finds a class or function by its name."""
        module_name, name = getattr(obj, "__module__", None), obj.__qualname__
        module = sys.modules.get(module_name) if isinstance(module_name, str) else None
        if module is None or _attribute(module, name) is not obj:
            return
        if self._route(module.__name__) is Route.VALUE:
            if "." not in name:
                self.by_value[module.__name__, name] = obj
            for used in _in_annotations(obj):
                # typing.get_type_hints looks for them in the class's module.
                if used in vars(module):
                    self.by_value.setdefault((module.__name__, used), vars(module)[used])
        else:
            self._modules.need(module.__name__)
            self._modules.use(module.__name__, name)

    def _route(self, name: str) -> Route:
        route = self._modules.route(name)
        if route is Route.VALUE and name != "__main__" and name in sys.modules:
            cloudpickle.register_pickle_by_value(sys.modules[name])
        return route

    def _by_name(self, obj: object, name: str) -> None:
        """Check that an object which pickle knows by its name alone can be found in a trial."""
        module = pickle.whichmodule(obj, name)  # type: ignore[attr-defined]
        if self._route(module) is Route.VALUE:
            raise pickle.PicklingError(
                f"{type(obj).__name__} objects are pickled by their name, and trials have no module {module!r}"
            )
        self._modules.need(module)
        self._modules.use(module, name)


@dataclass(eq=False)
class _Variables:
    """The variables of a module that trials import."""

    module: str

    def __reduce__(self) -> Any:
        return shipped.variables_of, (self.module,)


def _attribute(module: types.ModuleType, path: str) -> object:
    value: object = module
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def _is_by_value(function: types.FunctionType) -> bool:
    module = sys.modules.get(function.__module__)
    if module is None or _attribute(module, function.__qualname__) is not function:
        return True
    return module.__name__ == "__main__" or (
        module.__name__ in cloudpickle.list_registry_pickle_by_value()
    )


# ---------------------------------------------------------------------- objects that cloudpickle can't pickle


def _completed(cls: Any, reduced: Any) -> Any:
    """Add to a class by value what cloudpickle drops: its qualified name, and attributes of an enum's members."""
    if not isinstance(reduced, tuple):
        return reduced
    if reduced[0] is cloudpickle.cloudpickle._make_skeleton_class:
        _check_subclassing(cls)
        make, (kind, name, bases, namespace, *others), *rest = reduced
        # pickle looks for Outer.Inner by this name.
        namespace = {**namespace, "__qualname__": cls.__qualname__}
        return (make, (kind, name, bases, namespace, *others), *rest)
    if reduced[0] is cloudpickle.cloudpickle._make_skeleton_enum:
        make, arguments, state, *_ = reduced
        members = {
            name: {key: value for key, value in vars(member).items() if key not in _OF_MEMBERS}
            for name, member in cls.__members__.items()
        }
        if any(members.values()):
            return make, arguments, (state, members), None, None, shipped.set_enum_state
    return reduced


def _check_subclassing(cls: Any) -> None:
    """Check that a class can be made again without the keyword arguments of its class statement."""
    hook = getattr(super(cls, cls).__init_subclass__, "__func__", None)
    if hook is None:
        return
    required = [
        item.name
        for item in inspect.signature(hook).parameters.values()
        if item.kind is item.KEYWORD_ONLY and item.default is item.empty
    ]
    if required:
        raise pickle.PicklingError(
            f"its __init_subclass__ requires {required[0]}=, which only the class statement gives"
        )


def _in_annotations(obj: Any) -> set[str]:
    """Return the names in annotations that are text, as ``from __future__ import annotations`` makes them."""
    names: set[str] = set()
    for annotation in dict(getattr(obj, "__annotations__", None) or {}).values():
        if isinstance(annotation, str):
            with suppress(SyntaxError, ValueError):
                names.update(compile(annotation, "", "eval").co_names)
    return names


def _texts_of_the_program() -> Iterator[str]:
    """Yield the program's text, or those of the notebook's cells."""
    main = sys.modules["__main__"]
    yield from (str(cell) for cell in getattr(main, "In", ()))
    file = getattr(main, "__file__", None)
    if isinstance(file, str):
        with suppress(OSError, UnicodeError):
            yield Path(file).read_text(encoding="utf-8")


class Nowhere(io.RawIOBase):
    """A file that forgets what is written."""

    def write(self, data: Any) -> int:
        return len(data)


def can_be_pickled(value: object, modules: UserModules) -> bool:
    """Return whether an object can be pickled. Call it within `registry_restored`."""
    try:
        FunctionPickler(Nowhere(), modules).dump(value)
    # Classes raise errors of their own when they are pickled.
    except Exception:
        return False
    return True


def _reduce_dispatcher(function: Any) -> Any:
    """Reduce a function of functools.singledispatch: its cache holds weak references."""
    registry = dict(function.registry)
    attributes = {key: value for key, value in vars(function).items() if key not in _OFDISPATCHERS}
    return (
        shipped.dispatching, (registry.pop(object),), (registry, attributes), None, None, shipped.add_dispatched
    )  # fmt: skip


def _reduce_cached(pickler: FunctionPickler, function: Any) -> Any:
    """Reduce a function of functools.lru_cache or cache; its results stay here."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", "")
    if module is not None and _attribute(module, name) is function:
        if pickler._route(module.__name__) is not Route.VALUE:
            pickler._modules.need(module.__name__)
            return name
        if "." not in name:
            pickler.by_value[module.__name__, name] = function
    parameters = function.cache_parameters()
    attributes = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
    return (
        shipped.caching,
        (function.__wrapped__, parameters["maxsize"], parameters["typed"]),
        attributes,
    )


def _reduce_cached_property(_: FunctionPickler, item: Any) -> Any:
    """Reduce a functools.cached_property, which has a lock before Python 3.12."""
    state = {key: value for key, value in vars(item).items() if key != "lock"}
    return functools.cached_property, (item.func,), state


def _reduce_file(_: FunctionPickler, file: Any) -> Any:
    raise pickle.PicklingError(f"it is the open file {getattr(file, 'name', None)!r}")


def _reduce_type(pickler: FunctionPickler, item: Any) -> Any:
    """Reduce a type variable or a new type, which pickle knows by the name alone."""
    module = sys.modules.get(getattr(item, "__module__", None) or "")
    name = str(item.__name__)
    is_named = module is not None and _attribute(module, name) is item
    if is_named and pickler._route(item.__module__) is not Route.VALUE:
        pickler._modules.need(item.__module__)
        return name
    arguments = (item.__supertype__,) if isinstance(item, typing.NewType) else ()
    return type(item), (name, *arguments)


def _reduce_missing(_: FunctionPickler, __: object) -> Any:
    """Reduce dataclasses.MISSING, which is compared by identity."""
    return getattr, (importlib.import_module("dataclasses"), "MISSING")


_REDUCERS: dict[type, Callable[[FunctionPickler, Any], Any]] = {
    type(functools.lru_cache(lambda: None)): _reduce_cached,
    functools.cached_property: _reduce_cached_property,
    io.TextIOWrapper: _reduce_file,
    typing.NewType: _reduce_type,
    typing.ParamSpec: _reduce_type,
    typing.TypeVarTuple: _reduce_type,
    type(dataclasses.MISSING): _reduce_missing,
}
