"""Event loop of one thread: waits for sockets, for calls from other threads, and for timers."""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Watched(Protocol):
    """A party that waits for its socket."""

    events: int
    """Events of the module `selectors` that it waits for; only `EventLoop.watch` changes them."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""


class EventLoop:
    """Loop of the thread that `start` starts. All but `start` and `call_soon` is for that thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end in (self._wake_receiver, self._wake_sender):
            end.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._woken = False
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    def start(self, run: Callable[[], None], *, name: str) -> None:
        """Start the thread, which calls `run`: that makes turn after turn, and closes the loop."""
        self._thread = threading.Thread(target=run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_in_thread(self) -> bool:
        """True for a caller in the loop's thread."""
        return threading.current_thread() is self._thread

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call a function in the loop's thread; from any thread."""
        self._calls.append(call)
        if not self.is_in_thread and not self._woken:
            self._woken = True
            try:
                self._wake_sender.send(b"\0")
            except BlockingIOError:
                pass  # It has been woken often enough.
            except OSError:
                pass  # The thread has ended.

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function after a time."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), call))

    def watch(self, party: Watched, events: int) -> None:
        """Wait for these events of a party's socket from now on; 0: for none."""
        if events == party.events:
            return
        if not party.events:
            self._selector.register(party, events, party)
        elif not events:
            self._selector.unregister(party)
        else:
            self._selector.modify(party, events, party)
        party.events = events

    def turn(self) -> list[Watched]:
        """Make the calls that are due, and wait for sockets or the next timer; return the parties whose sockets are ready."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _call(heapq.heappop(self._timers)[2])
        # Not those that are added meanwhile: a client that sends requests without a pause would have every turn.
        for _ in range(len(self._calls)):
            _call(self._calls.popleft())
        wait_s = None if not self._timers else max(0.0, self._timers[0][0] - now)
        ready: list[Watched] = []
        for key, _ in self._selector.select(0.0 if self._calls else wait_s):
            if key.data is None:
                self._drain()
            else:
                ready.append(key.data)
        return ready

    def close(self) -> None:
        """Free the loop's descriptors; no turn may follow."""
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _drain(self) -> None:
        try:
            while self._wake_receiver.recv(4096):
                pass
        except BlockingIOError:
            pass
        # Whoever calls from here on wakes the thread again; earlier calls are made before the next wait.
        self._woken = False


def _call(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        # The thread serves everybody, and must survive a fault in one answer.
        log.exception("a call in the server's thread failed")
