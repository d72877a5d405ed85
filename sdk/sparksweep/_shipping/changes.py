"""The variables of a loaded module of the user's own that differ from those that its source makes."""

from __future__ import annotations

import ast
import dis
import enum
import functools
import types
from collections import Counter, OrderedDict, deque
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sparksweep._module_archive import Registered
from sparksweep._shipping.sources import codes, functions_of

DISPATCHER = functools.singledispatch(lambda _: None).__code__  # type: ignore[attr-defined]
"""The code of every function of functools.singledispatch."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__", "__setstate__")
_MUTATORS = (
    frozenset(
        name
        for kind in (dict, list, set, deque, Counter, OrderedDict)
        for name in dir(kind)
        if not name.startswith("_")
    )
    - set(dir(frozenset))
    - set(dir(tuple))
    - {"copy", "fromkeys", "get", "items", "keys", "values", "elements", "most_common", "total"}
)
"""The methods that change a container of the standard library."""
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_CONTAINERS = (dict, list, set, deque)
_MAX_NODES = 10_000
"""Elements of a variable's value that are compared: larger values are made anew by the import."""
_MAX_DEPTH = 4
"""Objects on the way from a variable to an attribute that was set: ``settings.model.optimizer.rate``."""


@dataclass(frozen=True)
class Edits:
    """The names in a program, or in the functions of modules, that change something; constructors only make it."""

    assigned: frozenset[str]
    """Attributes that statements or setattr set: LEVEL in ``settings.LEVEL = 9``."""
    holders: frozenset[str]
    """Objects of such attributes: settings. A dictionary may have its items as attributes."""
    wholes: frozenset[str]
    """Objects any attribute of which may be set: ``setattr(options, name, value)``, ``vars(options)``."""
    items: frozenset[str]
    """Objects whose items are set, or that a method of a container changes: ``names[0] = "a"``, ``names.append("a")``."""

    @classmethod
    def of(cls, trees: Iterable[ast.AST]) -> Edits:
        """Return the edits in parts of a program."""
        sets = {name: set[str]() for name in ("assigned", "holders", "wholes", "items")}
        for tree in trees:
            aliases: list[tuple[str, str]] = []
            for node in _walked(tree):
                for role, name in _edited(node):
                    sets[role].add(name)
                aliases.extend(_aliases(node))
            for alias, name in aliases:
                for role in ("holders", "wholes", "items"):
                    if alias in sets[role]:
                        sets[role].add(name)
        return cls(**{role: frozenset(names) for role, names in sets.items()})

    @classmethod
    def of_texts(cls, sources: Iterable[str], *, functions_alone: bool = False) -> Edits:
        """Return the edits in texts of Python; one that can't be parsed has none.

        Args:
            sources: The texts.
            functions_alone: Skip the statements that an import runs, in a trial too.
        """
        trees: list[ast.AST] = []
        for source in sources:
            with suppress(SyntaxError, ValueError, RecursionError):
                trees.append(ast.parse(source))
        if functions_alone:
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            trees = [node for tree in trees for node in _walked(tree) if isinstance(node, kinds)]
        return cls.of(trees)

    def changes(self, name: str, value: object) -> bool:
        """Return whether the edits may have changed a variable or an attribute, other than by its attributes."""
        is_container = isinstance(value, _CONTAINERS)
        in_place = name in self.items or (is_container and name in self.holders | self.wholes)
        return (name in self.assigned or in_place) and _is_data(value)


def changed_values(
    module: types.ModuleType, tree: ast.Module, edits: Edits, own: Edits
) -> dict[str, object]:
    """Return the variables of a module, and ``name.attribute`` of its classes and objects, that were changed after its import.

    Compared are those that the source sets to literals alone, and those that it does not set. Any other may differ from
    machine to machine, such as the number of the CPUs: it is made anew by the import, unless the program, or a function of
    a module, assigns it, an attribute of it, or the items of a container.

    Args:
        module: The module.
        tree: Its source.
        edits: Names that the program changes.
        own: Names that functions of the user's own modules change.
    """
    literals, others = _assigned(tree)
    globals_ = {name for code in _function_codes(module) for name in _stored_globals(code)}
    changed: dict[str, object] = {}
    for name, value in list(vars(module).items()):
        if name.startswith("__") or isinstance(value, types.ModuleType):
            continue
        if isinstance(value, types.FunctionType) and value.__code__ is DISPATCHER:
            registry: dict[type, Any] = vars(value)["registry"]
            foreign = {
                kind: item for kind, item in registry.items() if item.__module__ != module.__name__
            }
            if foreign and value.__module__ == module.__name__:
                changed[name] = Registered(foreign)
            continue
        if name in others:
            is_changed = name in globals_ and _is_data(value)
            is_changed = is_changed or _is_edited(name, value, edits, own)
            if not is_changed:
                for path, item in _changed_members(name, value, edits, own):
                    changed[f"{name}.{path}"] = item
        else:
            is_changed = not any(_same(value, literal) for literal in literals.get(name, ()))
        if is_changed:
            changed[name] = value
    for node in tree.body:
        holder = vars(module).get(node.name) if isinstance(node, ast.ClassDef) else None
        # The members of an enum differ from the literals that make them, and can't be set.
        if isinstance(holder, enum.EnumMeta):
            continue
        if isinstance(holder, type) and holder.__module__ == module.__name__:
            for name, value in _changed_attributes(holder, node, edits.assigned):
                changed[f"{holder.__name__}.{name}"] = value
    return changed


def _changed_attributes(
    holder: type, node: ast.AST, reassigned: Container[str]
) -> Iterator[tuple[str, object]]:
    """Yield the attributes of a class that were set, or changed in place, after its definition."""
    literals, others = _assigned(node)
    for name, value in list(vars(holder).items()):
        if name.startswith("__") or isinstance(value, _DESCRIPTORS):
            continue
        is_literal = name in literals and name not in others
        if is_literal and any(_same(value, literal) for literal in literals[name]):
            continue
        if isinstance(value, types.FunctionType) and value.__module__ == holder.__module__:
            continue
        if is_literal or name in reassigned:
            yield name, value


def _is_edited(name: str, value: object, edits: Edits, own: Edits) -> bool:
    """Return whether the program, or a function of a module, may have changed a value; large ones are the program's."""
    return edits.changes(name, value) or (own.changes(name, value) and _is_plain(value))


def _changed_members(
    name: str, value: object, edits: Edits, own: Edits, depth: int = 1
) -> Iterator[tuple[str, object]]:
    """Yield path and value of the attributes of an object, or of a function, that may have been set after its making.

    Args:
        name: The object's own name.
        value: The object.
        edits: Names that the program changes.
        own: Names that functions of the user's own modules change.
        depth: The number of objects on the way to it, itself included.
    """
    if isinstance(value, type | types.ModuleType):
        return
    is_whole = name in edits.wholes | own.wholes
    for key, item in _members(value):
        if not key.isidentifier() or key.startswith("__"):
            continue
        if _is_edited(key, item, edits, own) or (is_whole and _is_plain(item)):
            yield key, item
        elif depth < _MAX_DEPTH:
            for path, inner in _changed_members(key, item, edits, own, depth + 1):
                yield f"{key}.{path}", inner


def _members(value: object) -> Iterator[tuple[str, object]]:
    """Yield the attributes of an object itself, those in slots included."""
    try:
        members = object.__getattribute__(value, "__dict__")
    except AttributeError:
        members = {}
    yield from [(key, item) for key, item in members.items() if isinstance(key, str)]
    for kind in type(value).__mro__:
        for key, slot in list(vars(kind).items()):
            if isinstance(slot, types.MemberDescriptorType) and "__slots__" in vars(kind):
                with suppress(AttributeError):
                    yield key, slot.__get__(value)


def _walked(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree; those of constructors are left out, unless it is one."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(
            child
            for child in ast.iter_child_nodes(node)
            if getattr(child, "name", None) not in _CONSTRUCTORS
        )


def _edited(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield pairs of a role, by the names of `Edits`, and a name that one node of a text gives this role."""
    holder: ast.AST | None = None
    role = "holders"
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield "assigned", node.attr
        holder = node.value
        role = "items" if isinstance(holder, ast.Subscript) else "holders"
        # In settings.model.rate, model may be an item of the dictionary settings.
        yield from (
            ("holders", part.attr) for part in ast.walk(holder) if isinstance(part, ast.Attribute)
        )
    elif isinstance(node, ast.Attribute) and node.attr == "__dict__":
        holder, role = node.value, "wholes"
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        holder, role = node.value, "items"
    elif isinstance(node, ast.AugAssign):
        holder, role = node.target, "items"
    elif isinstance(node, ast.Call):
        called = _last_name(node.func)
        if called == "setattr" and len(node.args) > 1:
            holder = node.args[0]
            if isinstance(node.args[1], ast.Constant):
                yield "assigned", str(node.args[1].value)
            else:
                role = "wholes"
        elif called == "vars" and node.args:
            holder, role = node.args[0], "wholes"
        elif called in _MUTATORS and isinstance(node.func, ast.Attribute):
            holder, role = node.func.value, "items"
    name = None if holder is None else _last_name(holder)
    if name is not None:
        yield role, name


def _aliases(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield pairs of a new name and an old one for one object: ``c = settings.CONF``, ``import CONF as c``."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Name):
        name = _last_name(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and name is not None:
                yield target.id, name
    elif isinstance(node, ast.ImportFrom):
        yield from ((item.asname, item.name) for item in node.names if item.asname is not None)


def _last_name(node: ast.AST) -> str | None:
    """Return the name nearest to the end of ``a.b[0]``: b; None if there is none."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _function_codes(module: types.ModuleType) -> Iterator[types.CodeType]:
    for function in functions_of(module):
        yield from codes(function.__code__)


def _stored_globals(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_GLOBAL":
            yield str(instruction.argval)


def _is_data(value: object) -> bool:
    return not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)


def _assigned(tree: ast.AST) -> tuple[dict[str, list[object]], set[str]]:
    """Return the literals that are assigned to each variable, and the variables that get anything else."""
    literals: dict[str, list[object]] = {}
    others: set[str] = set()
    for node in _own_statements(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                pass
            else:
                if all(isinstance(target, ast.Name) for target in targets):
                    for target in targets:
                        literals.setdefault(target.id, []).append(value)  # type: ignore[attr-defined]
                    continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            others.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            others.update((item.asname or item.name).partition(".")[0] for item in node.names)
            if any(item.name == "*" for item in node.names):
                # All its names come from elsewhere.
                return {}, _Everything()
        elif not isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            others.update(_stored(node))
        else:
            others.update(_headers(node))
    return literals, others


class _Everything(set[str]):
    def __contains__(self, item: object) -> bool:
        return True


def _own_statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements that run at the import, those in branches included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _own_statements(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _own_statements(child)


def _headers(node: ast.stmt) -> Iterator[str]:
    parts = [getattr(node, name, None) for name in ("target", "iter", "test")]
    parts += [
        item for with_item in getattr(node, "items", ()) for item in ast.iter_child_nodes(with_item)
    ]
    for part in parts:
        if part is not None:
            yield from _stored(part)


def _stored(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement sets, or whose values it may change: ``X = ...``, ``X[0] = ...``, ``X.add(...)``."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            yield inner.id
        part = inner.func if isinstance(inner, ast.Call) else inner
        is_stored = isinstance(inner, ast.Subscript | ast.Attribute) and not isinstance(
            inner.ctx, ast.Load
        )
        if is_stored or (isinstance(inner, ast.Call) and isinstance(part, ast.Attribute)):
            while isinstance(part, ast.Subscript | ast.Attribute):
                part = part.value
            if isinstance(part, ast.Name):
                yield part.id


def _is_plain(value: object) -> bool:
    waiting, count = [value], 0
    while waiting:
        item = waiting.pop()
        count += 1
        kind = type(item)
        if count > _MAX_NODES:
            return False
        if isinstance(item, list | tuple | set | frozenset | deque):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend([*item, *item.values()])
        elif kind not in _PLAIN:
            return False
    return True


def _same(value: object, literal: object) -> bool:
    if type(value) is not type(literal) or not _is_plain(value):
        return False
    if isinstance(value, set | frozenset):
        return value == literal
    # repr tells 1 from True and from 1.0, also in containers, and NaN is itself.
    return repr(value) == repr(literal)
