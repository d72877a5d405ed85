"""The gateway's server: HTTP's CONNECT on the loopback address, then bytes both ways.

All users of a namespace share it, so each connection has bounds: the bytes and the time of its request, the time that it may
be silent; and there is a largest number of connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from sparksweep_core.contract.gateway import HEAD_END, MAX_HEAD_BYTES, parse_request
from sparksweep_operator.gateway.viewers import Refusal
from sparksweep_operator.kube.port_forward import PortForward, PortForwardError

log = logging.getLogger(__name__)

READ_BYTES = 32 * 1024
LINGER_S = 1.0
LINGER_READS = 8
"""Seconds, and parts of `READ_BYTES`, that are read of a refused request."""
CLOSE_S = 5.0
"""Seconds in which a client must have read the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of what clients can cost."""

    connections: int = 64
    """Connections at once; a browser opens six to a TensorBoard. The client of the API server takes a hundred."""
    request_s: float = 10.0
    """Seconds for the head of a request."""
    open_s: float = 20.0
    """Seconds to find the pod and to open its port."""
    silence_s: float = 600.0
    """Seconds without a byte in either direction."""


Connect = Callable[[str, str], Awaitable[PortForward]]
"""Opens a connection to a service of an Experiment, by their names, or raises `Refusal`."""


class GatewayServer:
    """Serves from `start` until `close`."""

    def __init__(self, connect: Connect, bounds: Bounds | None = None) -> None:
        self._connect = connect
        self._bounds = bounds or Bounds()
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; return the port.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @property
    def open_connections(self) -> int:
        """Number of connections that are open."""
        return self._open

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > 2 * self._bounds.connections:
                # Even a response costs a second.
                writer.transport.abort()
                return
            if self._open > self._bounds.connections:
                message = f"the gateway has {self._bounds.connections} connections already: try again later"
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, message)
            forward = await self._request(reader)
        except Refusal as refusal:
            await _respond(reader, writer, refusal)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.debug("a client left before it had asked", exc_info=True)
        else:
            try:
                writer.write(b"HTTP/1.1 200 OK" + HEAD_END)
                await _Pipe(reader, writer, forward, self._bounds.silence_s).run()
            finally:
                await forward.close()
        finally:
            await _close(writer)
            self._open -= 1

    async def _request(self, reader: asyncio.StreamReader) -> PortForward:
        try:
            async with asyncio.timeout(self._bounds.request_s):
                head = await reader.readuntil(HEAD_END)
            experiment, service = parse_request(head)
        except TimeoutError:
            message = f"no request within {self._bounds.request_s:g} s"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, message) from None
        except asyncio.LimitOverrunError:
            message = f"the request has more than {MAX_HEAD_BYTES} bytes"
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message) from None
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        try:
            async with asyncio.timeout(self._bounds.open_s):
                return await self._connect(experiment, service)
        except TimeoutError:
            message = (
                f"{experiment}/{service} could not be reached within {self._bounds.open_s:g} s"
            )
            raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, message) from None


class _Pipe:
    """Bytes both ways, until one side ends or both are silent."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        forward: PortForward,
        silence_s: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._forward = forward
        self._silence_s = silence_s
        self._moved = 0

    async def run(self) -> None:
        """Copy until the end."""
        copies = [asyncio.create_task(copy()) for copy in (self._upwards, self._downwards)]
        try:
            seen = -1
            while seen != self._moved:
                seen = self._moved
                done, _ = await asyncio.wait(
                    copies, timeout=self._silence_s, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    break
        finally:
            for copy in copies:
                copy.cancel()
            for result in await asyncio.gather(*copies, return_exceptions=True):
                if isinstance(result, ConnectionError | PortForwardError):
                    log.debug("a connection broke: %s", result)
                elif isinstance(result, Exception):
                    log.error("a connection failed", exc_info=result)

    async def _upwards(self) -> None:
        while data := await self._reader.read(READ_BYTES):
            self._moved += len(data)
            await self._forward.send(data)

    async def _downwards(self) -> None:
        while data := await self._forward.receive():
            self._moved += len(data)
            self._writer.write(data)
            await self._writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; one whose client reads no more is dropped."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except (ConnectionError, TimeoutError):
        writer.transport.abort()


async def _respond(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refusal: Refusal
) -> None:
    body = f"{refusal}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(ConnectionError, TimeoutError):
        writer.write(head.encode() + body)
        await writer.drain()
        writer.write_eof()
        # The kernel resets a connection that is closed with unread bytes, and the client loses the response.
        async with asyncio.timeout(LINGER_S):
            for _ in range(LINGER_READS):
                if not await reader.read(READ_BYTES):
                    break
