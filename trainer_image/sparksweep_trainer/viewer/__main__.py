"""``python -m sparksweep_trainer.viewer``: the process of a driver pod's second container."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from sparksweep.api.viewing import VIEWER_PORT
from sparksweep_trainer.viewer.server import ViewerServer

ENDS = {signal.SIGTERM, signal.SIGINT}

log = logging.getLogger("sparksweep_trainer.viewer")


def main() -> int:
    """Serve until told to end; the exit code."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    directory = os.environ.get("SPARKSWEEP_RUN_DIRECTORY")
    if not directory:
        log.error("the environment variable SPARKSWEEP_RUN_DIRECTORY is missing")
        return 2
    # Before any thread is there, so that none gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    server = ViewerServer(
        Path(directory), port=int(os.environ.get("SPARKSWEEP_VIEWER_PORT", VIEWER_PORT))
    )
    log.info("%s is shown at 127.0.0.1:%d", directory, server.port)
    signal.sigwait(ENDS)
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
