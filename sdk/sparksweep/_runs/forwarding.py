"""A port of this machine that leads to a port inside a pod, while the block lasts."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
ACCEPT_S = 0.5
"""Seconds after which a closed port has stopped listening."""


class ForwardedPort:
    """Listens on the loopback address; each connection gets one of its own to the pod. A context manager."""

    def __init__(self, connect: Callable[[], socket.socket], *, port: int = 0) -> None:
        """Listen at once.

        Args:
            connect: opens a connection to the pod.
            port: where to listen; 0: anywhere.

        Raises:
            OSError: the port is taken.
        """
        self._connect = connect
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(ACCEPT_S)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="forwarded-port", daemon=True)
        self._thread.start()

    def __enter__(self) -> ForwardedPort:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                accepted, _ = self._listener.accept()
            except TimeoutError:
                continue
            accepted.settimeout(None)
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                opened = self._connect()
            except Exception as error:
                # Whatever it is, the next connection may fare better; the browser shows that this one broke.
                log.warning("the pod can't be reached: %s", error)
                return
            opened.settimeout(None)
            back = threading.Thread(target=_copy, args=(opened, accepted), daemon=True)
            back.start()
            _copy(accepted, opened)
            back.join()
            opened.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until one side ends, and end both."""
    try:
        while data := source.recv(READ_BYTES):
            sink.sendall(data)
    except OSError:
        log.debug("a forwarded connection broke", exc_info=True)
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
