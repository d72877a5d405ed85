"""Gate for requests with large bodies: a few of them are in memory at once, and one of each owner. Pure."""

from __future__ import annotations

from sparksweep_trainer.http_server.connection import Connection


class Gate:
    """Connections that wait to send a large body, and those whose large body is read or answered."""

    def __init__(self, size: int) -> None:
        """Let in `size` connections at once."""
        self._size = size
        # In the order of arrival.
        self._waiting: dict[Connection, None] = {}
        self._inside: dict[Connection, None] = {}

    def holds_back(self, connection: Connection) -> bool:
        """Return True if a connection waits."""
        return connection in self._waiting

    def arrive(self, connection: Connection) -> None:
        """Have a connection wait until `let_in` returns it."""
        self._waiting[connection] = None

    def let_in(self) -> list[Connection]:
        """Let in those that have waited longest, as far as there is room, and return them."""
        owners = {item.owner for item in self._inside if item.owner is not None}
        entered: list[Connection] = []
        for connection in list(self._waiting):
            if len(self._inside) >= self._size:
                break
            if connection.owner in owners:
                continue
            if connection.owner is not None:
                owners.add(connection.owner)
            del self._waiting[connection]
            self._inside[connection] = None
            entered.append(connection)
        return entered

    def give_up(self, connection: Connection) -> bool:
        """Have a connection wait no longer; return False if it did not wait."""
        if connection not in self._waiting:
            return False
        del self._waiting[connection]
        return True

    def leave(self, connection: Connection) -> bool:
        """Make room for another connection; return False if this one was not inside."""
        if connection not in self._inside:
            return False
        del self._inside[connection]
        return True
