"""The TensorBoard log directory of a trial: ``keras.callbacks.TensorBoard(tensorboard.logdir())``.

For training code: standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparksweep_core.contract.environment import LOGDIR_ENV
from sparksweep_core.contract.run_layout import TENSORBOARD_DIRECTORY

__all__ = ["logdir"]


def logdir() -> str:
    """Return the directory for this trial's TensorBoard events, and create it if it does not exist.

    Returns:
        The directory; outside a trial ``tensorboard`` in the working directory.
    """
    directory = Path(os.environ.get(LOGDIR_ENV) or Path.cwd() / TENSORBOARD_DIRECTORY)
    directory.mkdir(parents=True, exist_ok=True)
    return str(directory)
