"""The source of a module of the user's own: its imports, and the differences between it and the loaded module."""

from __future__ import annotations

import ast
import dis
import tokenize
import types
from collections.abc import Iterator
from importlib.util import resolve_name
from typing import Any


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
    texts = [
        item
        for item in code.co_consts
        if isinstance(item, str) and item.replace(".", "").isidentifier()
    ]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant)
        elif by_text and constant in texts:
            level = len(constant) - len(constant.lstrip("."))
            yield level, constant.lstrip("."), []
            # import_module(".name", "package"): any other text may be the package.
            packages = [item for item in texts if level and not item.startswith(".")]
            yield from (
                (0, resolve_name(constant, item), [])
                for item in packages
                if item.count(".") >= level - 1
            )


def prefixes(code: types.CodeType) -> Iterator[str]:
    """Yield the packages of which code may import any module: models in ``import_module(f"models.{name}")``."""
    by_text = not {"import_module", "__import__"}.isdisjoint(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from prefixes(constant)
        elif by_text and isinstance(constant, str) and "." in constant.lstrip("."):
            yield constant.rpartition(".")[0]


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
    return all(function.__code__ in own for function in functions_of(module))


def functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    """Yield the functions and the methods that were defined in a module's file."""
    for value in list(vars(module).values()):
        is_class = isinstance(value, type) and getattr(value, "__module__", "") == module.__name__
        for item in list(vars(value).values()) if is_class else [value]:
            inner = item.__func__ if isinstance(item, classmethod | staticmethod) else item
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
