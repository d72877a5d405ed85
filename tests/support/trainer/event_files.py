"""Event files as TensorBoard reads them."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

# Keeps TensorBoard from importing TensorFlow, which has no use here.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))


def read_events(file: Path) -> list[Any]:
    """Read the events after the file's version."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    version, *events = list[Any](EventFileLoader(str(file)).Load())
    assert version.file_version == "brain.Event:2"
    return events


def plugin_data(event: Any) -> Any:
    """Decode an event of the HParams page; None for any other event."""
    from tensorboard.plugins.hparams import plugin_data_pb2

    plugin = event.summary.value[0].metadata.plugin_data
    if plugin.plugin_name != "hparams":
        return None
    return plugin_data_pb2.HParamsPluginData.FromString(plugin.content)


def scalars(events: list[Any]) -> list[tuple[str, int, float]]:
    """Return tag, step and value of each scalar."""
    return [
        (value.tag, event.step, round(value.tensor.float_val[0], 6))
        for event in events
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name != "hparams"
    ]
