"""A Keras callback that reports each epoch: ``model.fit(..., callbacks=[report_metrics()])``. Alone imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparksweep.context import report
from sparksweep.errors import MissingDependency

__all__ = ["report_metrics"]


def report_metrics() -> Any:
    """Return a Keras callback that passes the logs of each epoch, validation included, to `sparksweep.report`.

    Returns:
        A ``keras.callbacks.Callback``; epochs count from 1.

    Raises:
        MissingDependency: Keras is not installed.
    """
    try:
        # Imported on use: importing Keras takes seconds.
        from keras.callbacks import Callback
    except ModuleNotFoundError as error:
        raise MissingDependency("Keras is not installed: use an image that has it") from error

    class ReportMetrics(Callback):  # type: ignore[misc]
        """Reports each epoch's logs, counted from 1."""

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            """Report one epoch."""
            report(epoch + 1, **{name: float(value) for name, value in (logs or {}).items()})

    return ReportMetrics()
