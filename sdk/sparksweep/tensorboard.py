"""TensorBoard's log directory of a trial: ``keras.callbacks.TensorBoard(tensorboard.logdir())``.

For training code: standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparksweep_core.contract.environment import LOGDIR_ENV
from sparksweep_core.contract.run_layout import TENSORBOARD_DIRECTORY

__all__ = ["logdir"]


def logdir() -> str:
    """The directory for this trial's TensorBoard events, made if need be; outside a trial ``./tensorboard``."""
    directory = Path(os.environ.get(LOGDIR_ENV) or Path.cwd() / TENSORBOARD_DIRECTORY)
    directory.mkdir(parents=True, exist_ok=True)
    return str(directory)
