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
from sparksweep_trainer.viewer.tensorboard import KeptRunning, command

ENDS = {signal.SIGTERM, signal.SIGINT}

log = logging.getLogger("sparksweep_trainer.viewer")


def main() -> int:
    """Serve until told to end; the exit code."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    directory = os.environ.get(RUN_DIRECTORY_ENV)
    if not directory:
        log.error("the environment variable %s is missing", RUN_DIRECTORY_ENV)
        return 2
    # Before any thread is there, so that none gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    server = ViewerServer(Path(directory), port=int(os.environ.get(VIEWER_PORT_ENV, VIEWER_PORT)))
    log.info("%s is shown at 127.0.0.1:%d", directory, server.port)
    board = _tensorboard(Path(directory))
    signal.sigwait(ENDS)
    if board is not None:
        board.close()
    server.close()
    return 0


def _tensorboard(directory: Path) -> KeptRunning | None:
    """TensorBoard, if the pod was told to have one."""
    title = os.environ.get(TENSORBOARD_ENV)
    if not title:
        return None
    port = int(os.environ.get(TENSORBOARD_PORT_ENV, TENSORBOARD_PORT))
    return KeptRunning(command(directory / TRIALS, port, title=title))


if __name__ == "__main__":
    sys.exit(main())
