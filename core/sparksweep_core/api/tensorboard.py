"""What an Experiment shows of itself while it runs and after: ``spec.tensorboard``."""

from __future__ import annotations

from sparksweep_core.api.base import Model


class TensorBoard(Model):
    """TensorBoard over all trials, beside the driver and until the Experiment is deleted. Local runs have none."""

    enabled: bool = True
    """False: there is none, and no Service for it."""
