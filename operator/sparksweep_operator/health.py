"""The operator's probes: ``/healthz`` while its event loop runs, ``/readyz`` once it has caught up with what exists.

Liveness does not depend on the API server: a restart would not bring that back. Readiness is reached when each Experiment
that existed at the start has been reconciled, which is after all of them and their pods have been listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from aiohttp import web

from sparksweep_core.contract.ports import OPERATOR_HEALTH_PATH, OPERATOR_READY_PATH


async def serve_probes(url: str, obstacle: Callable[[], str]) -> web.AppRunner:
    """Serve the probes until the returned runner is cleaned up.

    Args:
        url: address to listen at, such as ``http://0.0.0.0:8080/healthz``; its path is that of the liveness probe.
        obstacle: returns the reason why the operator is not ready; empty if it is.

    Raises:
        OSError: the port is in use.
    """

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        reason = obstacle()
        return web.Response(text=reason or "ok", status=503 if reason else 200)

    parts = urlsplit(url)
    app = web.Application()
    app.router.add_get(parts.path or OPERATOR_HEALTH_PATH, alive)
    app.router.add_get(OPERATOR_READY_PATH, ready)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, parts.hostname, parts.port).start()
    return runner


class Readiness:
    """Progress of the operator's start. Belongs to one event loop."""

    def __init__(self) -> None:
        self._obstacle = "waiting for the CRDs"
        self._left: set[object] | None = None
        self._reconciled: set[object] = set()

    @property
    def is_ready(self) -> bool:
        """True once each Experiment that existed at the start has been reconciled."""
        return not self.obstacle()

    def obstacle(self) -> str:
        """Return the reason why the operator is not ready; empty once it is."""
        if self._left is None:
            return self._obstacle
        if self._left:
            return f"{len(self._left)} Experiments have not been reconciled yet"
        return ""

    def serves_crds(self) -> None:
        """Note that the CRDs are served."""
        self._obstacle = "listing the Experiments"

    def exist(self, keys: Collection[object]) -> None:
        """Note the Experiments that exist. Of a first list all are waited for; of a later one, no others."""
        existing = set(keys) - self._reconciled
        self._left = existing if self._left is None else self._left & existing
        if not self._left:
            self._reconciled.clear()

    def reconciled(self, key: object) -> None:
        """Note that an Experiment has been reconciled, or that an attempt has failed."""
        if self._left is None:
            self._reconciled.add(key)
        else:
            self._left.discard(key)
