"""Check of inline source, without running it: the function must accept the parameters as arguments.

Only certain mistakes are reported. A function that is assigned, imported or decorated may accept anything; the trial
process checks the real object before the first trial.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterator, Sequence

from sparksweep_core.errors import FieldError

INLINE_PATH = "spec.trialTemplate.source.inline"
FUNCTION_PATH = "spec.trialTemplate.function"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_source(
    source: str,
    *,
    function: str,
    parameter_names: Sequence[str] | None,
    objective: str | None = None,
    file: str | None = None,
) -> list[FieldError]:
    """Return every reason why a function of the source can't be called with the parameters as arguments.

    Args:
        source: the module's text.
        function: the function's name.
        parameter_names: names of the arguments; None if some are unreadable: then they are not compared.
        objective: name of the metric that the function must return; None if there is none, or it is unreadable.
        file: the module's file, for messages; None: the source is inline.
    """
    module = _parse(source, file)
    if isinstance(module, FieldError):
        return [module]
    definitions = [
        node
        for node in _module_level(module.body)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    named = [node for node in definitions if node.name == function]
    if _may_be_bound_otherwise(module, function):
        return []
    if not named:
        return [
            FieldError(FUNCTION_PATH, _not_defined(function, definitions, file or "source.inline"))
        ]
    if len(named) > 1 or named[0].decorator_list:
        return []
    definition = named[0]
    if isinstance(definition, ast.AsyncFunctionDef):
        message = f"{function} is an async def (line {definition.lineno}): write it as a plain def"
        return [FieldError(FUNCTION_PATH, message)]
    messages = [] if parameter_names is None else list(_mismatches(definition, parameter_names))
    messages += _metrics_returned(definition, objective)
    return [FieldError(FUNCTION_PATH, message) for message in messages]


def _metrics_returned(definition: ast.FunctionDef, objective: str | None) -> Iterator[str]:
    """Yield a message if each ``return`` is a dictionary with keys that can be read here, none of them the objective."""
    if objective is None:
        return
    returns = [node for node in _own_nodes(definition.body) if isinstance(node, ast.Return)]
    names: list[str] = []
    for node in returns:
        if not isinstance(node.value, ast.Dict):
            return
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.value.keys]
        texts = [key for key in keys if isinstance(key, str)]
        if len(texts) < len(keys) or objective in texts:
            return
        names += texts
    if returns:
        listed = ", ".join(dict.fromkeys(names)) or "no metric"
        close = difflib.get_close_matches(objective, names, n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        yield (
            f"{definition.name} returns {listed} (line {returns[0].lineno}), "
            f"but objectiveMetricName is {objective}{hint}"
        )


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body without those of functions and classes defined in it."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(list(ast.iter_child_nodes(node)))


def _parse(source: str, file: str | None) -> ast.Module | FieldError:
    path, prefix = (INLINE_PATH, "") if file is None else (FUNCTION_PATH, f"{file}: ")
    try:
        with warnings.catch_warnings():
            # "\d" in a string is a warning of the user's code, not of this check.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        text = (error.text or "").strip()
        near = f": {text[:60]}" if text else ""
        return FieldError(path, f"{prefix}line {error.lineno} is not Python, {error.msg}{near}")
    except (ValueError, RecursionError, MemoryError) as error:
        # Null characters, and nesting beyond what the parser's stack holds.
        return FieldError(path, f"{prefix}is not Python: {str(error) or 'it is nested too deeply'}")


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported, including those in ifs, trys, loops and withs."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from _module_level(getattr(statement, field, []))
        for block in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
            yield from _module_level(block.body)


def _may_be_bound_otherwise(module: ast.Module, name: str) -> bool:
    """Return True if something other than a ``def`` could bind the name in the module."""
    for node in ast.walk(module):
        match node:
            case ast.alias(name=imported, asname=alias):
                if "*" in (imported, alias) or name in (alias, imported.split(".")[0]):
                    return True
            case ast.Name(id=bound, ctx=ast.Store()) | ast.ClassDef(name=bound):
                if bound == name:
                    return True
            case (
                ast.MatchAs(name=bound)
                | ast.MatchStar(name=bound)
                | ast.MatchMapping(rest=bound)
                | ast.ExceptHandler(name=bound)
            ):
                if bound == name:
                    return True
            case ast.Global(names=names):
                if name in names:
                    return True
            case ast.Name(id="globals" | "exec" | "setattr") | ast.FunctionDef(name="__getattr__"):
                return True
    return False


def _not_defined(function: str, definitions: Sequence[_Function], where: str) -> str:
    names = sorted({node.name for node in definitions})
    close = difflib.get_close_matches(function, names, n=1)
    if close:
        return f"{function} is not defined in {where}: did you mean {close[0]}?"
    defined = f"it defines {', '.join(names[:10])}" if names else "it defines no function"
    return f"{function} is not defined at the top level of {where}: {defined}"


def _mismatches(definition: ast.FunctionDef, parameter_names: Sequence[str]) -> Iterator[str]:
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaulted = {item.arg for item in positional[len(positional) - len(arguments.defaults) :]}
    defaulted |= {
        item.arg
        for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    by_name = [item.arg for item in [*arguments.args, *arguments.kwonlyargs]]
    signature = f"{definition.name}({ast.unparse(arguments)})"
    for item in arguments.posonlyargs:
        if item.arg not in defaulted:
            yield f"{signature} takes {item.arg} by position only, but gets it by name: remove the /"
    for name in by_name:
        if name not in defaulted and name not in parameter_names:
            yield f"{signature} needs {name}, which is not a parameter: add it to spec.parameters or give it a default"
    if arguments.kwarg is None:
        for name in parameter_names:
            if name not in by_name:
                yield f"{signature} has no argument {name}: add it, or remove the parameter"
