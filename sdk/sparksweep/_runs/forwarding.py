"""Forwards a port of this machine to a port inside a pod."""

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
    """Listens on the loopback address, and opens a connection to the pod for each one it accepts. A context manager."""

    def __init__(self, connect: Callable[[], socket.socket], *, port: int = 0) -> None:
        """Start to listen.

        Args:
            connect: Opens a connection to the pod.
            port: The port of this machine; 0: any free one.

        Raises:
            OSError: The port is in use.
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
        """The port of this machine."""
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
                # Only this connection fails, as the browser shows; the next one may succeed.
                log.warning("the pod can't be reached: %s", error)
                return
            opened.settimeout(None)
            back = threading.Thread(target=_copy, args=(opened, accepted), daemon=True)
            back.start()
            _copy(accepted, opened)
            back.join()
            opened.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until one side closes, and close both."""
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
