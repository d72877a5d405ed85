"""The modules that a function's code imports, read from its syntax. Runs no user code.

The scan follows what is reached: the statements of a module that its import runs, the function, the functions and classes
whose names these mention, and modules of the user's own. A name that only a string holds is not followed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LISTED = "__imports__"
"""Variable of a module that lists further modules, as text: those of a function that is pickled in it."""
MAX_MODULES = 200
"""Modules of the user's own that are read."""

_READING = ("get", "keys", "items", "values", "copy")
_LOG_VARIABLES = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONHASHSEED")
"""Variables that change no result of an import."""
_SETTERS = ("putenv", "unsetenv", "load_dotenv")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class ModuleText:
    """The source of a module of the user's own."""

    text: str
    is_package: bool = False


class ImportScan:
    """Collects the imports of code that is added to it."""

    def __init__(self, find: Callable[[str], ModuleText | None]) -> None:
        """Start with no code.

        Args:
            find: returns the source of a module of the user's own by its dotted name; None for every other module.
        """
        self._find = find
        self._imports: dict[str, None] = {}
        self._own: dict[str, bool] = {}
        self._mentioned: set[str] = set()
        self._waiting: list[tuple[_Module, _Definition]] = []
        self.sets_environment = False
        """True if the code sets variables of the environment, which a module may read when it is imported."""

    def mention(self, *names: str) -> None:
        """Note that code mentions a name: functions and classes of that name are read."""
        self._mentioned.update(names)

    def add(self, name: str) -> None:
        """Add a module by its absolute name, and read it if it is the user's own."""
        parts = name.split(".")
        prefixes = [".".join(parts[: count + 1]) for count in range(len(parts))]
        if not self._read(prefixes[0]):
            self._imports[name] = None
            return
        for prefix in prefixes[1:]:
            self._read(prefix)

    def imports(self) -> list[str]:
        """Return the modules that are not the user's own, by dotted names; attributes of modules may be among them."""
        while True:
            reached = [item for item in self._waiting if item[1].name in self._mentioned]
            if not reached:
                return list(self._imports)
            self._waiting = [item for item in self._waiting if item not in reached]
            for module, definition in reached:
                _Reader(self, module, within=True).visit(definition)

    def _read(self, name: str) -> bool:
        """Read a module once; False if it is not the user's own."""
        if name in self._own:
            return self._own[name]
        module = self._find(name) if len(self._own) < MAX_MODULES else None
        self._own[name] = module is not None
        if module is not None:
            tree = parsed(module.text)
            if tree is not None:
                package = name if module.is_package else name.rpartition(".")[0]
                _Reader(self, _Module(package), within=False).visit(tree)
        return module is not None


@dataclass
class _Module:
    """The context that all definitions of a module share."""

    package: str
    aliases: dict[str, str] = field(default_factory=dict)
    """By variable, the dotted name of what was imported into it."""


class _Reader(ast.NodeVisitor):
    """Reads one module, or one definition of it."""

    def __init__(self, scan: ImportScan, module: _Module, *, within: bool) -> None:
        self._scan = scan
        self._module = module
        self._aliases = module.aliases
        self._within = within

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._scan.add(alias.name)
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self._aliases[alias.asname or bound] = bound

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._module.package.split(".")
            parent = ".".join(parents[: len(parents) - node.level + 1])
            base = f"{parent}.{base}".strip(".")
        if not base or base == "__future__":
            return
        self._scan.add(base)
        for alias in node.names:
            if alias.name != "*":
                self._scan.mention(alias.name)
                self._scan.add(f"{base}.{alias.name}")
                self._aliases[alias.asname or alias.name] = f"{base}.{alias.name}"

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_definition(node)

    def _visit_definition(self, node: _Definition) -> None:
        if self._within:
            self.generic_visit(node)
            return
        self._scan._waiting.append((self._module, node))
        for decorator in node.decorator_list:
            self.visit(decorator)

    def visit_If(self, node: ast.If) -> None:
        if _never_holds(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._scan.mention(node.id)
        if node.id in ("environ", *_SETTERS):
            self._scan.sets_environment = True

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if _is_environ(node.value) and node.attr in _READING:
            return
        self._scan.mention(node.attr)
        if node.attr in ("environ", *_SETTERS):
            self._scan.sets_environment = True
        if isinstance(node.value, ast.Name) and node.value.id in self._aliases:
            self._scan.add(f"{self._aliases[node.value.id]}.{node.attr}")
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        is_harmless = isinstance(node.ctx, ast.Load) or (
            isinstance(node.slice, ast.Constant) and node.slice.value in _LOG_VARIABLES
        )
        if _is_environ(node.value) and is_harmless:
            self.visit(node.slice)
            return
        if not isinstance(node.ctx, ast.Load) and ast.unparse(node.value) == "sys.modules":
            self._scan.sets_environment = True
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for item in (node.left, *node.comparators):
            if not _is_environ(item):
                self.visit(item)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        first = node.args[0] if node.args else None
        text = first.value if isinstance(first, ast.Constant) else None
        if name in ("import_module", "__import__") and isinstance(text, str) and text[:1] != ".":
            self._scan.add(text)
        is_default = isinstance(called, ast.Attribute) and called.attr == "setdefault"
        if is_default and _is_environ(called.value) and text in _LOG_VARIABLES:  # type: ignore[attr-defined]
            return
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        is_list = any(isinstance(item, ast.Name) and item.id == LISTED for item in node.targets)
        if is_list and not self._within and isinstance(node.value, ast.List | ast.Tuple):
            for item in node.value.elts:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    self._scan.add(item.value)
        self.generic_visit(node)


def imported_by(function: str, find: Callable[[str], ModuleText | None]) -> Sequence[str]:
    """Return the modules that ``module:function`` imports; none if its code sets variables of the environment first.

    Args:
        function: the function to call.
        find: see `ImportScan`.
    """
    module, _, name = function.partition(":")
    scan = ImportScan(find)
    scan.mention(name)
    try:
        scan.add(module)
        names = scan.imports()
    except RecursionError:
        # Expressions that are nested more deeply than this interpreter's stack holds.
        return []
    return [] if scan.sets_environment else [item for item in names if item != module]


def parsed(source: str) -> ast.Module | None:
    """Return the tree of a module's source; None if it is not Python."""
    try:
        with warnings.catch_warnings():
            # "\\d" in a string is a warning of the user's code.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_environ(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "environ"


def _never_holds(test: ast.expr) -> bool:
    """Return True for ``TYPE_CHECKING``, and for ``__name__ == "__main__"``."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
            return True
    return False
