"""Result of a trial, from its process to the slot: memory that both share, and a pipe that announces it.

A function may close every descriptor (`os.closerange`) or open a file that gets the number of one that it closed. Memory
that was mapped before the function was called stays, whatever happens to descriptors.

The trial's process writes one result, the first, with a `ResultSender`; the slot reads it with `read_result`. Standard
library only.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
from collections.abc import Mapping
from contextlib import suppress

# Bound here, before the user's code, which may replace functions of these modules: mocks do.
from json import dumps
from os import close, fstat, getpid, write
from signal import pthread_sigmask
from typing import Any

MAX_RESULT_BYTES = 1 << 20
"""Maximum size of a result's JSON. Pages of the memory that are not written take no room."""
_ALL = signal.valid_signals()
_LENGTH = struct.Struct("<Q")
_MEMORY_BYTES = _LENGTH.size + MAX_RESULT_BYTES


def create_memory() -> int:
    """Return the descriptor of memory for one result; it is not inherited by programs that are executed."""
    memory = os.memfd_create("result", os.MFD_CLOEXEC)
    os.truncate(memory, _MEMORY_BYTES)
    return memory


def read_result(memory: int) -> bytes:
    """Return the result's JSON; empty as long as there is none.

    Read and not mapped: the process that wrote it could also truncate the memory, and a mapping of that is a crash.
    """
    head = os.pread(memory, _LENGTH.size, 0)
    if len(head) < _LENGTH.size:
        return b""
    (length,) = _LENGTH.unpack(head)
    return os.pread(memory, min(length, MAX_RESULT_BYTES), _LENGTH.size)


class ResultSender:
    """The trial's end: sends one result, from the process that made it."""

    def __init__(self, memory: int, pipe: int) -> None:
        """Take over both descriptors: the memory's is closed, the pipe's is kept from programs that are executed."""
        self._memory = mmap.mmap(memory, _MEMORY_BYTES)
        os.close(memory)
        os.set_inheritable(pipe, False)
        self._pipe = pipe
        self._identity = _identity(pipe)
        self._process = getpid()
        self._is_sent = False

    def send(self, answer: Mapping[str, Any]) -> None:
        """Send a result; do nothing if one was sent, or in a child that the function forked and that returned, too."""
        if self._is_sent or getpid() != self._process:
            return
        data = dumps(answer).encode()
        if len(data) > MAX_RESULT_BYTES:
            text = f"the result takes {len(data)} bytes as JSON, at most {MAX_RESULT_BYTES} can be sent"
            data = dumps({"exception": {"type": "", "text": text, "memory": False}}).encode()
        # A handler of the function's that raises must not interrupt this.
        before = pthread_sigmask(signal.SIG_BLOCK, _ALL)
        try:
            self._memory[_LENGTH.size : _LENGTH.size + len(data)] = data
            self._memory[: _LENGTH.size] = _LENGTH.pack(len(data))
            self._is_sent = True
            with suppress(OSError):
                if _identity(self._pipe) == self._identity:
                    write(self._pipe, b".")
                    close(self._pipe)
        finally:
            pthread_sigmask(signal.SIG_SETMASK, before)


def _identity(descriptor: int) -> tuple[int, int]:
    """Return the device and inode behind a descriptor."""
    status = fstat(descriptor)
    return status.st_dev, status.st_ino
