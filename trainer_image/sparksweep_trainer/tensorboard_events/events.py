"""Events as TensorBoard reads them: scalars, and the data of its HParams page. Pure.

Field numbers are those of tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto, and
tensorboard/plugins/hparams/{api,plugin_data}.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from sparksweep_trainer.tensorboard_events import messages as pb
from sparksweep_trainer.tensorboard_events.records import record

Value = float | int | str

_HPARAMS = "hparams"
_EXPERIMENT_TAG = "_hparams_/experiment"
_START_TAG = "_hparams_/session_start_info"
_END_TAG = "_hparams_/session_end_info"
_STRING, _FLOAT64 = 1, 3
_DT_FLOAT = 1


class SessionStatus(IntEnum):
    """Status of a session: `Status` in tensorboard/plugins/hparams/api.proto."""

    SUCCESS = 1
    FAILURE = 2
    RUNNING = 3


def first_event(moment: float) -> bytes:
    """Return the first record of an event file: the version of its format."""
    return record(pb.double(1, moment) + pb.text(3, "brain.Event:2"))


def scalars(values: Mapping[str, float], *, step: int, moment: float) -> bytes:
    """Encode the scalars of one step, by tag."""
    encoded = [pb.text(1, tag) + pb.single(2, value) for tag, value in values.items()]
    summary = b"".join(pb.message(1, value) for value in encoded)
    return _event(summary, step=step, moment=moment)


def experiment(
    parameters: Sequence[str],
    numeric: Sequence[str],
    metrics: Sequence[str],
    *,
    moment: float,
) -> bytes:
    """Encode the columns of the HParams page.

    Args:
        parameters: names of the parameters.
        numeric: names of those that are numbers.
        metrics: tags of the scalars that are metrics.
        moment: seconds since 1970.
    """
    infos = [
        pb.text(1, name) + pb.integer(4, _FLOAT64 if name in numeric else _STRING)
        for name in parameters
    ]
    names = [pb.message(1, pb.text(2, metric)) for metric in metrics]
    content = pb.double(3, moment)
    content += b"".join(pb.message(4, info) for info in infos)
    content += b"".join(pb.message(5, name) for name in names)
    return _hparams(_EXPERIMENT_TAG, pb.message(2, content), moment=moment)


def session_start(values: Mapping[str, Value], *, moment: float) -> bytes:
    """Encode the start of a trial with its parameters.

    It names no group of sessions, so that each one is a row with the name of its run in TensorBoard: trials of several
    experiments have the same numbers.
    """
    entries = [pb.text(1, name) + pb.message(2, _value(value)) for name, value in values.items()]
    content = b"".join(pb.message(1, entry) for entry in entries)
    content += pb.double(5, moment)
    return _hparams(_START_TAG, pb.message(3, content), moment=moment)


def session_end(status: SessionStatus, *, moment: float) -> bytes:
    """Encode the end of a trial."""
    content = pb.integer(1, status) + pb.double(2, moment)
    return _hparams(_END_TAG, pb.message(4, content), moment=moment)


def _value(value: Value) -> bytes:
    """Encode a google.protobuf.Value."""
    return pb.text(3, value) if isinstance(value, str) else pb.double(2, float(value))


def _hparams(tag: str, content: bytes, *, moment: float) -> bytes:
    plugin = pb.text(1, _HPARAMS) + pb.message(2, content)
    metadata = pb.message(1, plugin)
    # An empty tensor of floats: a summary must have a value.
    tensor = pb.integer(1, _DT_FLOAT) + pb.message(2, pb.message(2, pb.integer(1, 0)))
    value = pb.text(1, tag) + pb.message(9, metadata) + pb.message(8, tensor)
    return _event(pb.message(1, value), step=0, moment=moment)


def _event(summary: bytes, *, step: int, moment: float) -> bytes:
    return record(pb.double(1, moment) + pb.integer(2, step) + pb.message(5, summary))
