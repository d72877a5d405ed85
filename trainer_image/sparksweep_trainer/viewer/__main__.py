"""``python -m sparksweep_trainer.viewer``: the process of a driver pod's second container."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from sparksweep_core.contract.environment import (
    RUN_DIRECTORY_ENV,
    TENSORBOARD_ENV,
    TENSORBOARD_PORT_ENV,
    VIEWER_PORT_ENV,
)
from sparksweep_core.contract.ports import TENSORBOARD_PORT, VIEWER_PORT
from sparksweep_core.contract.run_layout import TRIALS
from sparksweep_trainer.viewer.server import ViewerServer
from sparksweep_trainer.viewer.tensorboard import RestartingProcess, command

ENDS = {signal.SIGTERM, signal.SIGINT}

log = logging.getLogger("sparksweep_trainer.viewer")


def main() -> int:
    """Serve until a signal ends the process, and return the exit code."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    directory = os.environ.get(RUN_DIRECTORY_ENV)
    if not directory:
        log.error("the environment variable %s is missing", RUN_DIRECTORY_ENV)
        return 2
    # Before any thread starts, so that none receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    server = ViewerServer(Path(directory), port=int(os.environ.get(VIEWER_PORT_ENV, VIEWER_PORT)))
    log.info("%s is shown at 127.0.0.1:%d", directory, server.port)
    tensorboard = _tensorboard(Path(directory))
    signal.sigwait(ENDS)
    if tensorboard is not None:
        tensorboard.close()
    server.close()
    return 0


def _tensorboard(directory: Path) -> RestartingProcess | None:
    """Start TensorBoard if the pod's environment asks for it."""
    title = os.environ.get(TENSORBOARD_ENV)
    if not title:
        return None
    port = int(os.environ.get(TENSORBOARD_PORT_ENV, TENSORBOARD_PORT))
    return RestartingProcess(command(directory / TRIALS, port, title=title))


if __name__ == "__main__":
    sys.exit(main())
