"""End of a trial's process after its result has been sent: what an interpreter does at its exit, for as far as it goes.

From here on everything is the user's: threads, exit functions, streams. None of it can change the result, nor keep the
process beyond the grace that the slot gives it. Standard library only.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
import threading
from collections.abc import Callable

from sparksweep_trainer.trial.exceptions import describe_exception

MAX_LEFT = 4
MAX_NAME = 60


def finish() -> None:
    """Wait for threads that are no daemons, call atexit's functions, flush. Modules are not torn down."""
    _try(threading._shutdown)  # type: ignore[attr-defined]
    _try(atexit._run_exitfuncs)
    _try(_flush, sys.stdout)
    _try(_flush, sys.stderr)


def _flush(stream: object) -> None:
    if stream is not None and not getattr(stream, "closed", False):
        stream.flush()  # type: ignore[attr-defined]


def _try(step: Callable[..., object], *arguments: object) -> None:
    try:
        step(*arguments)
    except BaseException as error:
        # As Python does: an error at the exit is shown and changes nothing. A signal handler's SystemExit is no error.
        if not isinstance(error, SystemExit):
            _show(error)


def _show(error: BaseException) -> None:
    try:
        print_error(
            f"Exception ignored at the trial's exit:\n{describe_exception(error).traceback}"
        )
    except BaseException:
        # Without memory, for example.
        return


def print_error(text: str) -> None:
    """Print to standard error, whatever the function has made of it."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except BaseException:
        _write_to_pipe(text + "\n")


def _write_to_pipe(text: str) -> None:
    """Write to descriptor 2, unless the function has closed it or opened a file under its number."""
    try:
        if stat.S_ISFIFO(os.fstat(2).st_mode):
            os.write(2, text.encode(errors="backslashreplace"))
    except BaseException:
        return


def left_behind() -> list[str]:
    """Name the threads and child processes that will be waited for, the first few of them."""
    try:
        threads = [
            f"thread {str(thread.name)[:MAX_NAME]!r}"
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        ]
        module = sys.modules.get("multiprocessing.process")
        children = [] if module is None else module.active_children()
        processes = [
            f"process {str(child.name)[:MAX_NAME]!r}" for child in children if not child.daemon
        ]
        return [*threads, *processes][:MAX_LEFT]
    except BaseException:
        return []
