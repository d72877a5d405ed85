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
    source: str, *, function: str, parameter_names: Sequence[str] | None
) -> list[FieldError]:
    """Return every reason why a function of the source can't be called with the parameters as arguments.

    Args:
        source: the module's text.
        function: the function's name.
        parameter_names: names of the arguments; None if some are unreadable: then they are not compared.
    """
    module = _parse(source)
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
        return [FieldError(FUNCTION_PATH, _not_defined(function, definitions))]
    if len(named) > 1 or named[0].decorator_list:
        return []
    definition = named[0]
    if isinstance(definition, ast.AsyncFunctionDef):
        message = f"{function} is an async def (line {definition.lineno}): write it as a plain def"
        return [FieldError(FUNCTION_PATH, message)]
    if parameter_names is None:
        return []
    return [
        FieldError(FUNCTION_PATH, message)
        for message in _mismatches(definition, list(parameter_names))
    ]


def _parse(source: str) -> ast.Module | FieldError:
    try:
        with warnings.catch_warnings():
            # "\d" in a string is a warning of the user's code, not of this check.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        text = (error.text or "").strip()
        near = f": {text[:60]}" if text else ""
        return FieldError(INLINE_PATH, f"line {error.lineno} is not Python, {error.msg}{near}")
    except (ValueError, RecursionError, MemoryError) as error:
        # Null characters, and nesting beyond what the parser's stack holds.
        return FieldError(INLINE_PATH, f"is not Python: {str(error) or 'it is nested too deeply'}")


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


def _not_defined(function: str, definitions: Sequence[_Function]) -> str:
    names = sorted({node.name for node in definitions})
    close = difflib.get_close_matches(function, names, n=1)
    if close:
        return f"{function} is not defined in source.inline: did you mean {close[0]}?"
    defined = f"it defines {', '.join(names[:10])}" if names else "it defines no function"
    return f"{function} is not defined at the top level of source.inline: {defined}"


def _mismatches(definition: ast.FunctionDef, parameter_names: list[str]) -> Iterator[str]:
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
