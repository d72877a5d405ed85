"""Process of a driver pod: ``python -m sparksweep_trainer.kubernetes``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from sparksweep_core import garbage
from sparksweep_core.contract.directories import STORAGE_DIRECTORY
from sparksweep_core.contract.driver_config import DRIVER_CANNOT_START
from sparksweep_core.contract.environment import TERMINATION_LOG_ENV
from sparksweep_core.errors import Unreadable
from sparksweep_trainer.kubernetes.application import Application, End
from sparksweep_trainer.kubernetes.settings import SettingsError, load
from sparksweep_trainer.kubernetes.store_credentials import foreign_server, take_credentials

log = logging.getLogger("sparksweep_trainer.kubernetes")


def main() -> int:
    """Run the driver and return its exit code."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # py4j logs each of its connections.
    logging.getLogger("py4j").setLevel(logging.ERROR)
    try:
        settings = load()
    except SettingsError as error:
        return _cannot_start(f"the driver can't start: {error}")
    scratch = Path(tempfile.mkdtemp(prefix="sparksweep-store-"))
    given: dict[str, str] = {}
    for message in take_credentials(Path(STORAGE_DIRECTORY), given, scratch=scratch):
        log.warning("spec.storage.secretName: %s", message)
    refusal = settings.storage_uri and foreign_server(settings.storage_uri, given)
    if refusal:
        return _cannot_start(f"the driver can't start: {refusal}")
    os.environ.update(given)
    try:
        application = Application(settings)
    except OSError as error:
        # Usually a volume that this user may not write to. Without it everything that trials print would be lost.
        return _cannot_start(f"the run directory can't be used: {error}")
    _install_signal_handlers(application)
    garbage.collect_rarely()
    log.info("%s of experiment %s starts", settings.driver, settings.experiment)
    try:
        end = application.run()
    except Unreadable as error:
        return _cannot_start(str(error))
    if application.last_words:
        _leave_word(application.last_words)
    return end.exit_code


def _cannot_start(message: str) -> int:
    """Say the reason and return the exit code."""
    _leave_word(message)
    return DRIVER_CANNOT_START


def _leave_word(message: str) -> None:
    """Log a reason, and put it where Kubernetes reads it for the pod's status."""
    log.error("%s", message)
    file = os.environ.get(TERMINATION_LOG_ENV)
    if file:
        try:
            Path(file).write_text(message, encoding="utf-8")
        except OSError as error:
            log.warning("%s can't be written: %s", file, error)


def _install_signal_handlers(application: Application) -> None:
    """End the application on SIGTERM or SIGINT.

    A signal handler may interrupt a thread that holds the lock it would need, so it only writes to a pipe. A thread
    reads the pipe and ends the application.
    """
    read, write = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(write, b"."))

    def terminate() -> None:
        os.read(read, 1)
        application.end(End.TERMINATED)

    threading.Thread(target=terminate, name="signals", daemon=True).start()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    # Daemon threads blocked in a read would delay the interpreter's end.
    os._exit(code)
