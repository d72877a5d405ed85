"""``spec.tensorboard``: the TensorBoard of an Experiment, while it runs and after."""

from __future__ import annotations

from sparksweep_core.api.base import Model


class TensorBoard(Model):
    """TensorBoard over all trials, in the driver's pod until the Experiment is deleted. Local runs have none."""

    enabled: bool = True
    """False: neither TensorBoard nor its Service is started."""
