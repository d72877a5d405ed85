"""One trial, from the fork to its exit: all of this module runs in the trial's own process.

The fork server (``fork_server``) forks the process, and calls ``run`` in it.

The request (JSON, from the slot) names the code to run; the result (JSON, at most 64 KiB) goes into a pipe to the slot.
Standard library only: modules imported here are imported in every trial before the user's code.

Requests::

    {"do": "call" | "check", "module": "train", "function": "training", "paths": [...], "arguments": {...},
     "wanted": ["accuracy"], "directory": "...", "environment": {...}}
    {"do": "exec", "program": "/usr/bin/python3", "argv": [...], "directory": "...", "environment": {...}}

Results, one of::

    {"returned": {...}}              see `return_value`
    {"exception": {"type": "ValueError", "text": "...", "memory": false}}
    {"exit": 3}                      sys.exit
    {"refused": "..."}               the function can't be called with these parameters
    {"not_started": "..."}           the program could not be started
    {"checked": true}
"""

from __future__ import annotations

import atexit
import difflib
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NoReturn

from sparksweep_trainer.trial.arguments import ArgumentsError, bind, refusal
from sparksweep_trainer.trial.processes import die_with_parent
from sparksweep_trainer.trial.return_value import describe

MAX_RESULT_BYTES = 64 * 1024
MAX_NAME = 128
MAX_REFUSAL = 4000
MAX_TRACEBACK = 2000
"""Characters that are sent of a traceback, from its end."""

_RESET_SIGNALS = (
    signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


@dataclass(frozen=True)
class Channels:
    """Descriptors that came with the request, and the pid and descriptors of the fork server."""

    request: int
    stdout: int
    stderr: int
    result: int
    server: int
    """The fork server's pid."""
    server_descriptors: tuple[int, ...]
    """The fork server's own descriptors, which the trial closes. Others belong to preloaded modules."""


class _Refused(Exception):
    """The function can't be loaded, or can't take the parameters; the message gives the reason."""


def run(channels: Channels) -> NoReturn:
    """Run one request in this freshly forked process, and end it."""
    status = 1
    try:
        _detach(channels)
        size = os.fstat(channels.request).st_size
        request = json.loads(os.pread(channels.request, size, 0))
        os.close(channels.request)
        os.environ.update(request["environment"])
        try:
            os.chdir(request["directory"])
        except OSError as error:
            _send(channels.result, {"not_started": f"{request['directory']}: {error.strerror}"})
        else:
            status = _DO[request["do"]](request, channels.result)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


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
    # Neither a command nor a process that a function starts inherits it.
    os.set_inheritable(channels.result, False)
    for number in _RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Of all processes of the executor, the OOM killer shall choose the trial: neither the slot nor Spark's Java.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


# ---------------------------------------------------------------------- functions


def _call(request: Mapping[str, Any], result: int) -> int:
    _prepare_python()
    trial = os.getpid()
    try:
        function = _load(request)
        args, kwargs = _bind(request, function)
        value = function(*args, **kwargs)
        answer: dict[str, Any] = {"returned": describe(value, request["wanted"])}
        status = 0
    except _Refused as error:
        answer, status = {"refused": str(error)[:MAX_REFUSAL]}, 1
    except SystemExit as error:
        status = _exit_status(error)
        answer = {"exit": status}
    except BaseException as error:
        answer, status = _exception(error), 1
    # A child that the function forked may return from it, too: it is not the trial.
    if os.getpid() == trial:
        _send(result, answer)
    _finish()
    return status


def _check(request: Mapping[str, Any], result: int) -> int:
    _prepare_python()
    try:
        _bind(request, _load(request))
        answer: dict[str, Any] = {"checked": True}
    except _Refused as error:
        answer = {"refused": str(error)[:MAX_REFUSAL]}
    except BaseException as error:
        text = _exception(error)["exception"]["text"]
        answer = {"refused": f"{request['module']} can't be imported: {text}"}
    _send(result, answer)
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
    faulthandler.enable(file=2)


def _load(request: Mapping[str, Any]) -> Callable[..., object]:
    module_name, name, paths = request["module"], request["function"], request["paths"]
    sys.path[:] = [*paths, *(path for path in sys.path if path not in paths)]
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


def _exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)  # noqa: T201 - as Python does with a text
    return 1


def _exception(error: BaseException) -> dict[str, Any]:
    """Describe an exception for the slot, and print its whole traceback to standard error, as Python does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.TracebackException(type(error), error, trace).format()).strip()
    with suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
    return {
        "exception": {
            "type": type(error).__name__[:MAX_NAME],
            "text": _end(text),
            "memory": isinstance(error, MemoryError),
        }
    }


def _end(text: str) -> str:
    """Return the last lines of a text, where the exception's message is."""
    if len(text) <= MAX_TRACEBACK:
        return text
    cut = text[-MAX_TRACEBACK:]
    return "...\n" + (cut.partition("\n")[2] or cut)


def _send(result: int, answer: Mapping[str, Any]) -> None:
    # A training function that closed every descriptor has closed this one too: its trial ends without a result.
    with suppress(OSError):
        os.write(result, json.dumps(answer).encode()[:MAX_RESULT_BYTES])
        os.close(result)


def _finish() -> None:
    """Finish as an interpreter does: wait for threads, call atexit's functions, flush. Modules are not torn down."""
    try:
        # Waits for threads that are no daemons, and ends idle thread pools.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()


# ---------------------------------------------------------------------- commands


def _exec(request: Mapping[str, Any], result: int) -> int:
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        # The result's pipe closes with a successful exec.
        os.execve(request["program"], request["argv"], os.environ)
    except OSError as error:
        _send(result, {"not_started": f"{request['program']}: {error.strerror}"})
    return 127


_DO: Mapping[str, Callable[[Mapping[str, Any], int], int]] = {
    "call": _call,
    "check": _check,
    "exec": _exec,
}
