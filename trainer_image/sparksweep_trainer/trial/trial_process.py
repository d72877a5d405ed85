"""One trial, from the fork to its exit: all of this module runs in the trial's own process.

The fork server (``fork_server``) forks the process, and calls ``run`` in it.

The request (JSON, from the slot) names the code to run; the result (JSON) goes to the slot through ``trial.result``, before
anything of the user's runs at the exit of the process.
Standard library only: modules imported here are imported in every trial before the user's code.

Requests::

    {"do": "call" | "check", "module": "train", "function": "training", "paths": [...], "arguments": {...},
     "wanted": ["accuracy"], "directory": "...", "environment": {...}}
    {"do": "exec", "program": "/usr/bin/python3", "argv": [...], "directory": "...", "environment": {...}}

Results, one of::

    {"returned": {...}}              see `return_value`
    {"exception": {"type": "ValueError", "text": "...", "memory": false}}
    {"exit": 3}                      sys.exit(3)
    {"exit_text": "no data"}         sys.exit("no data")
    {"refused": "..."}               the function can't be called with these parameters
    {"not_started": "..."}           the program could not be started
    {"checked": true}

One that ends a call may also hold "left": names of threads and child processes that the process will wait for.
"""

from __future__ import annotations

import difflib
import faulthandler
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NoReturn

from sparksweep_trainer.trial.arguments import ArgumentsError, bind, refusal
from sparksweep_trainer.trial.exceptions import describe_exception, describe_import_error
from sparksweep_trainer.trial.finish import finish, left_behind, print_error
from sparksweep_trainer.trial.processes import die_with_parent
from sparksweep_trainer.trial.result import ResultSender
from sparksweep_trainer.trial.return_value import describe

MAX_REFUSAL = 4000
MAX_EXIT_TEXT = 500
_TRACERS = 3
"""Attempts at a report: the functions of `sys.settrace` and `sys.setprofile` may each spoil one."""

_RESET_SIGNALS = (
    signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


@dataclass(frozen=True)
class Channels:
    """Descriptors that came with the request, and the pid and descriptors of the fork server."""

    request: int
    stdout: int
    stderr: int
    pipe: int
    """Pipe that announces the result."""
    memory: int
    """Memory for the result."""
    server: int
    """The fork server's pid."""
    server_descriptors: tuple[int, ...]
    """The fork server's own descriptors, which the trial closes. Others belong to preloaded modules."""


class _Refused(Exception):
    """The function can't be loaded, or can't take the parameters; the message gives the reason."""


_exit = os._exit
"""Kept from before the user's code, which may have replaced it."""


def run(channels: Channels) -> NoReturn:
    """Run one request in this freshly forked process, and end it."""
    status = 1
    result = None
    try:
        _detach(channels)
        result = ResultSender(channels.memory, channels.pipe)
        size = os.fstat(channels.request).st_size
        request = json.loads(os.pread(channels.request, size, 0))
        os.close(channels.request)
        os.environ.update(request["environment"])
        try:
            os.chdir(request["directory"])
        except OSError as error:
            result.send({"not_started": f"{request['directory']}: {error.strerror}"})
        else:
            status = _DO[request["do"]](request, result)
    except BaseException as error:
        _report(error, result)
    finally:
        _exit(status)


def _report(error: BaseException, result: ResultSender | None) -> None:
    """Report an error outside the function, such as that of a tracer that the function has left behind."""
    for _ in range(_TRACERS):
        # A tracer that raises is removed by the interpreter.
        try:
            if result is not None:
                _send_exception(error, result)
            return
        except BaseException:
            continue


def _detach(channels: Channels) -> None:
    """Start a new session with the slot's pipes for output, and restore Python's signal handling."""
    signal.set_wakeup_fd(-1)
    for descriptor in channels.server_descriptors:
        os.close(descriptor)
    os.setsid()
    die_with_parent(channels.server)
    os.dup2(channels.stdout, 1)
    os.dup2(channels.stderr, 2)
    os.close(channels.stdout)
    os.close(channels.stderr)
    for number in _RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Of all processes of the executor, the OOM killer shall choose the trial: neither the slot nor Spark's Java.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


# ---------------------------------------------------------------------- functions


def _call(request: Mapping[str, Any], result: ResultSender) -> int:
    _prepare_python()
    try:
        function = _load(request)
        args, kwargs = _bind(request, function)
        value = function(*args, **kwargs)
        result.send({"returned": describe(value, request["wanted"]), "left": left_behind()})
        status = 0
    except _Refused as error:
        result.send({"refused": str(error)[:MAX_REFUSAL]})
        status = 1
    except SystemExit as error:
        status = _send_exit(error, result)
    except BaseException as error:
        # Sent in here: the frames that end with the exception may hold objects that run the user's code.
        _send_exception(error, result)
        status = 1
    finish()
    return status


def _send_exception(error: BaseException, result: ResultSender) -> None:
    described = describe_exception(error)
    exception = {
        "type": described.name,
        "text": described.message,
        "memory": described.is_memory_error,
    }
    result.send({"exception": exception, "left": left_behind()})
    print_error(described.traceback)


def _check(request: Mapping[str, Any], result: ResultSender) -> int:
    _prepare_python()
    try:
        _bind(request, _load(request))
        result.send({"checked": True})
    except _Refused as error:
        result.send({"refused": str(error)[:MAX_REFUSAL]})
    except BaseException as error:
        text = describe_import_error(error, request["paths"])
        result.send({"refused": f"{request['module']} can't be imported: {text}"})
    return 0


def _prepare_python() -> None:
    """Reset state that a fork copies and a fresh interpreter would not have."""
    # Otherwise all trials would draw the same random numbers.
    random.seed()
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed()
    if torch is not None:
        torch.seed()
    # A preloaded module may have asked for it before this trial had a directory of its own.
    temporary = sys.modules.get("tempfile")
    if temporary is not None:
        vars(temporary)["tempdir"] = None
    faulthandler.enable(file=2)


def _load(request: Mapping[str, Any]) -> Callable[..., object]:
    module_name, name, paths = request["module"], request["function"], request["paths"]
    sys.path[:] = [*paths, *(path for path in sys.path if path not in paths)]
    for path in paths:
        # The fork server may have looked for a module while an earlier trial had removed the directory.
        sys.path_importer_cache.pop(path, None)
    _forget_namesake(module_name, paths)
    # Not importlib.import_module: its own frames would stay in the traceback.
    __import__(module_name)
    module = sys.modules[module_name]
    try:
        function = getattr(module, name)
    except AttributeError:
        raise _Refused(_no_such_function(module_name, name, vars(module))) from None
    reason = refusal(function)
    if reason is not None:
        raise _Refused(f"{module_name}:{name} {reason}")
    loaded: Callable[..., object] = function
    return loaded


def _forget_namesake(module_name: str, paths: Sequence[str]) -> None:
    """Unload a module that shadows the user's: the standard library's ``statistics`` for their ``statistics.py``."""
    package = module_name.partition(".")[0]
    loaded = sys.modules.get(package)
    if loaded is None:
        return
    spec = PathFinder.find_spec(package, list(paths))
    if spec is not None and spec.origin != getattr(loaded, "__file__", None):
        for name in [*sys.modules]:
            if name == package or name.startswith(f"{package}."):
                del sys.modules[name]


def _no_such_function(module_name: str, name: str, namespace: Mapping[str, object]) -> str:
    functions = [
        key
        for key, value in namespace.items()
        if not key.startswith("_") and getattr(value, "__module__", None) == module_name
    ]
    message = f"{module_name} has no function {name!r}; it has {', '.join(functions) or 'none'}"
    close = difflib.get_close_matches(name, functions, n=1)
    return f"{message}: did you mean {close[0]!r}?" if close else message


def _bind(
    request: Mapping[str, Any], function: Callable[..., object]
) -> tuple[list[object], dict[str, Any]]:
    try:
        return bind(request["function"], function, request["arguments"])
    except ArgumentsError as error:
        raise _Refused(str(error)) from None


def _send_exit(error: SystemExit, result: ResultSender) -> int:
    """Send the result of sys.exit, and return the exit code that Python would give."""
    code = error.code
    if code is None or isinstance(code, int):
        status = 0 if code is None else code & 0xFF
        result.send({"exit": status, "left": left_behind()})
        return status
    try:
        text = str(code)
    except BaseException:
        text = f"<{type(code).__name__}, which can't be shown>"
    result.send({"exit_text": text[:MAX_EXIT_TEXT], "left": left_behind()})
    print_error(text)
    return 1


# ---------------------------------------------------------------------- commands


def _exec(request: Mapping[str, Any], result: ResultSender) -> int:
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        # The pipe and the memory of the result close with a successful exec.
        os.execve(request["program"], request["argv"], os.environ)
    except OSError as error:
        result.send({"not_started": f"{request['program']}: {error.strerror}"})
    return 127


_DO: Mapping[str, Callable[[Mapping[str, Any], ResultSender], int]] = {
    "call": _call,
    "check": _check,
    "exec": _exec,
}
