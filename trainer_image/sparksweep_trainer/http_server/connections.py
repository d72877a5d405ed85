"""Table of a server's connections, which bounds their number: of strangers, in total and by address, and of each owner. Pure.

A stranger is a connection of which no request has been admitted. The table names connections that must make room, and
the server closes them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from sparksweep_trainer.http_server.connection import Connection
from sparksweep_trainer.http_server.head import Refused

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a server's connections."""

    connections: int = 64
    """Connections at once."""
    strangers: int = 32
    """Connections at once of which no request has been admitted; beyond it the oldest is closed."""
    strangers_of_address: int = 16
    """The same, of one address."""
    head_s: float = 5.0
    """Seconds in which a stranger must send a head, and anyone the rest of one."""
    owned: int = 4
    """Connections at once of one owner, once admitted; beyond it the owner's oldest is closed."""
    idle_s: float = 60.0
    """Seconds for which a connection stays without a request, once one was admitted; and for an answer to be read."""
    body_s: float = 10.0
    """Seconds in which a body must come."""
    gate: int = 8
    """Requests at once whose bodies are large."""
    gate_s: float = 20.0
    """Seconds that a request waits for that, before it is answered 503."""


class Connections:
    """The open connections, the oldest first."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._all: dict[Connection, None] = {}
        self._strangers: dict[Connection, None] = {}
        self._of_address: dict[str, dict[Connection, None]] = {}
        """Strangers by address."""
        self._of_owner: dict[Hashable, dict[Connection, None]] = {}

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._all

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._all)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of connections, and of strangers among them."""
        return len(self._all), len(self._strangers)

    @property
    def is_full(self) -> bool:
        """True if there may be no more connections."""
        return len(self._all) >= self._bounds.connections

    def is_stranger(self, connection: Connection) -> bool:
        """Return True if no request of an open connection was admitted."""
        return connection in self._strangers

    def overdue(self, now: float) -> list[Connection]:
        """Return the connections whose deadline is over, `now` being a monotonic time."""
        return [item for item in self._all if item.deadline <= now]

    def oldest_stranger(self) -> Connection | None:
        """Return the stranger that has been there for longest."""
        return next(iter(self._strangers), None)

    def stranger_in_the_way(self, address: str) -> Connection | None:
        """Return the stranger that must make room before a connection from `address` is added."""
        neighbours = self._of_address.get(address)
        if neighbours and len(neighbours) >= self._bounds.strangers_of_address:
            return next(iter(neighbours))
        if self.is_full or len(self._strangers) >= self._bounds.strangers:
            return self.oldest_stranger()
        return None

    def add(self, connection: Connection) -> None:
        """Add a stranger."""
        self._all[connection] = self._strangers[connection] = None
        self._of_address.setdefault(connection.address, {})[connection] = None

    def admit(self, connection: Connection, owner: Hashable) -> Connection | None:
        """Count a connection as its owner's from now on, and no more as a stranger's.

        Returns:
            The owner's oldest connection if that one is too many now.

        Raises:
            Refused: it was admitted as another owner's before.
        """
        if connection.trusted:
            if connection.owner != owner:
                raise Refused(HTTPStatus.FORBIDDEN, "another token than before on this connection")
            return None
        self._forget_stranger(connection)
        connection.trusted = True
        connection.owner = owner
        if owner is None:
            return None
        group = self._of_owner.setdefault(owner, {})
        group[connection] = None
        return next(iter(group)) if len(group) > self._bounds.owned else None

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is closed."""
        del self._all[connection]
        self._forget_stranger(connection)
        _discard(self._of_owner, connection.owner, connection)

    def _forget_stranger(self, connection: Connection) -> None:
        if connection in self._strangers:
            del self._strangers[connection]
            _discard(self._of_address, connection.address, connection)


def _discard(groups: dict[Key, dict[Connection, None]], key: Key, connection: Connection) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(connection, None)
        if not group:
            del groups[key]
