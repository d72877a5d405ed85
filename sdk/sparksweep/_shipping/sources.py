"""The source of a module of the user's own: its imports, and the differences between it and the loaded module."""

from __future__ import annotations

import ast
import dis
import tokenize
import types
from collections.abc import Container, Iterator
from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_MAX_NODES = 10_000
"""Elements of a variable's value that are compared: larger values are made anew by the import."""


def source_of(name: str, file: str, loader: object) -> str | None:
    """Return a module's source; None if there is none."""
    get_source = getattr(loader, "get_source", None)
    try:
        if get_source is not None:
            text = get_source(name)
            if text is not None:
                return str(text)
        with tokenize.open(file) as opened:
            return opened.read()
    except (ImportError, OSError, SyntaxError, UnicodeError):
        return None


def imported_names(code: ast.AST | types.CodeType, package: str) -> Iterator[str]:
    """Yield the modules that code may import, by absolute names; attributes of modules may be among them.

    Args:
        code: A module's tree, or a function's code.
        package: The package that relative imports refer to.
    """
    pairs = _of_code(code) if isinstance(code, types.CodeType) else _of_tree(code)
    for level, module, names in pairs:
        absolute = module
        if level:
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - level + 1])
            absolute = f"{base}.{module}".strip(".")
        if absolute:
            yield absolute
            yield from (f"{absolute}.{name}" for name in names if name != "*")


def _of_tree(tree: ast.AST) -> Iterator[tuple[int, str, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            first = node.args[0]
            if called == "import_module" and isinstance(first, ast.Constant):
                text = str(first.value)
                yield len(text) - len(text.lstrip(".")), text.lstrip("."), []


def _of_code(code: types.CodeType) -> Iterator[tuple[int, str, list[str]]]:
    before: list[Any] = [0, None]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            level, names = before[-2:]
            yield level if isinstance(level, int) else 0, str(instruction.argval), list(names or ())
        elif "CONST" in instruction.opname or "SMALL_INT" in instruction.opname:
            before.append(instruction.argval)
    by_text = not {"import_module", "__import__"}.isdisjoint(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant)
        elif by_text and isinstance(constant, str) and constant.replace(".", "").isidentifier():
            yield 0, constant, []


# ---------------------------------------------------------------------- a loaded module and its source


def is_made_by(module: types.ModuleType, tree: ast.Module, source: str, file: str) -> bool:
    """Return whether the functions and classes of a module are those that its source makes.

    They are not after the file was edited, or after a function was replaced from outside.
    """
    try:
        own = set(codes(compile(source, file, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError, RecursionError):
        return False
    namespace = vars(module)
    definitions: dict[str, list[ast.AST]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definitions.setdefault(node.name, []).append(node)
    for name, nodes in definitions.items():
        value = namespace.get(name)
        if any(node.decorator_list for node in nodes):  # type: ignore[attr-defined]
            continue
        if isinstance(nodes[-1], ast.ClassDef):
            if value is not None and not isinstance(value, type):
                return False
        elif value is not None and getattr(value, "__code__", None) not in own:
            return False
    return all(function.__code__ in own for function in _functions(module))


def _functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    """Yield the functions and the methods that were defined in a module's file."""
    for value in list(vars(module).values()):
        is_class = isinstance(value, type) and getattr(value, "__module__", "") == module.__name__
        for item in list(vars(value).values()) if is_class else [value]:
            inner = getattr(item, "__func__", item)
            if (
                isinstance(inner, types.FunctionType)
                and inner.__globals__ is vars(module)
                and not inner.__code__.co_filename.startswith("<")
            ):
                yield inner


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and those of the functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


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
    changed = {}
    for name, value in list(vars(module).items()):
        if name.startswith("__") or isinstance(value, types.ModuleType):
            continue
        if name in others:
            is_changed = (name in reassigned or name in globals_) and _is_data(value)
        else:
            is_changed = not any(_same(value, literal) for literal in literals.get(name, ()))
        if is_changed:
            changed[name] = value
    for node in tree.body:
        holder = vars(module).get(node.name) if isinstance(node, ast.ClassDef) else None
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
    for function in _functions(module):
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
