"""The variables of a loaded module of the user's own that differ from those that its source makes."""

from __future__ import annotations

import ast
import dis
import enum
import functools
import types
from collections.abc import Container, Iterator

from sparksweep._module_archive import Registered
from sparksweep._shipping.sources import codes, functions_of

DISPATCHER = functools.singledispatch(lambda _: None).__code__  # type: ignore[attr-defined]
"""The code of every function of functools.singledispatch."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_MAX_NODES = 10_000
"""Elements of a variable's value that are compared: larger values are made anew by the import."""


def changed_values(
    module: types.ModuleType, tree: ast.Module, reassigned: Container[str]
) -> dict[str, object]:
    """Return the variables of a module, and ``Class.attribute`` of its classes, that were changed after its import.

    Compared are those that the source sets to literals alone, and those that it does not set. Any other may differ from
    machine to machine, such as the number of the CPUs: it is made anew by the import, unless something assigns it later.

    Args:
        module: The module.
        tree: Its source.
        reassigned: Names that the program assigns as attributes of something: ``settings.LEVEL = 9``.
    """
    literals, others = _assigned(tree)
    globals_ = {name for code in _function_codes(module) for name in _stored_globals(code)}
    changed: dict[str, object] = {}
    for name, value in list(vars(module).items()):
        if name.startswith("__") or isinstance(value, types.ModuleType):
            continue
        if getattr(value, "__code__", None) is DISPATCHER:
            foreign = {
                kind: item
                for kind, item in value.registry.items()
                if item.__module__ != module.__name__
            }
            if foreign and value.__module__ == module.__name__:
                changed[name] = Registered(foreign)
            continue
        if name in others:
            is_changed = (name in reassigned or name in globals_) and _is_data(value)
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
            for name, value in _changed_attributes(holder, node, reassigned):
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


def assigned_attributes(source: str) -> set[str]:
    """Return the names of attributes that a program's text assigns, by statements or by setattr."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if (
                called == "setattr"
                and len(node.args) > 1
                and isinstance(node.args[1], ast.Constant)
            ):
                names.add(str(node.args[1].value))
    return names


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
        if kind in (list, tuple, set, frozenset):
            waiting.extend(item)  # type: ignore[arg-type]
        elif kind is dict:
            waiting.extend([*item, *item.values()])  # type: ignore[misc, attr-defined]
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
