"""A connection to a port in a pod, through the API server: Kubernetes' protocol ``v4.channel.k8s.io`` for one port.

Each message begins with the number of its channel: 0 for data, 1 for errors. The first on each channel repeats the port.
"""

from __future__ import annotations

import aiohttp

PROTOCOL = "v4.channel.k8s.io"
DATA_CHANNEL = 0
ERROR_CHANNEL = 1


class PortForwardError(Exception):
    """The connection broke; the message is the kubelet's."""


class PortForward:
    """A connection to one port of a pod, both ways."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._announced: set[int] = set()

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the other side does not read."""
        await self._websocket.send_bytes(bytes([DATA_CHANNEL]) + data)

    async def receive(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            PortForwardError: nothing listens at the port, or the pod has ended.
        """
        while True:
            message = await self._websocket.receive()
            if message.type is aiohttp.WSMsgType.ERROR:
                raise PortForwardError(str(self._websocket.exception()))
            if message.type is not aiohttp.WSMsgType.BINARY:
                return b""
            if not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in self._announced:
                self._announced.add(channel)
                data = data[2:]
            if not data:
                continue
            if channel == ERROR_CHANNEL:
                raise PortForwardError(data.decode(errors="replace").strip())
            return bytes(data)

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()
