"""The gateway's process: ``python -m sparksweep_operator.gateway``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from sparksweep_core.contract.environment import POD_NAMESPACE_ENV
from sparksweep_core.contract.ports import GATEWAY_PORT
from sparksweep_operator.gateway.server import GatewayServer
from sparksweep_operator.gateway.viewers import Viewers
from sparksweep_operator.kube import KubernetesClient

log = logging.getLogger("sparksweep_operator.gateway")


def main() -> int:
    """Serve the viewers of this pod's namespace until SIGTERM or SIGINT, and return the exit code."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    namespace = os.environ.get(POD_NAMESPACE_ENV)
    if not namespace:
        log.error("the environment variable %s is missing", POD_NAMESPACE_ENV)
        return 2
    asyncio.run(_run(namespace, GATEWAY_PORT))
    return 0


async def _run(namespace: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with KubernetesClient() as kubernetes:
        server = GatewayServer(Viewers(kubernetes, namespace).connect)
        await server.start(port)
        log.info("the viewers of namespace %s are reached at 127.0.0.1:%d", namespace, port)
        await stop.wait()
        await server.close()


if __name__ == "__main__":
    sys.exit(main())
