"""Event files without TensorBoard, read by TensorBoard."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.tensorboard_events import events, messages
from sparksweep_trainer.tensorboard_events.records import crc32c, record
from support.trainer.event_files import plugin_data, read_events


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


def test_a_record_has_its_length_before_it() -> None:
    framed = record(b"abc")
    assert struct.unpack("<Q", framed[:8]) == (3,)
    assert framed[12:15] == b"abc"
    assert len(framed) == 19


def read(path: Path, *parts: bytes) -> list[Any]:
    file = path / "events.out.tfevents.1"
    file.write_bytes(events.first_event(1.5) + b"".join(parts))
    return read_events(file)


def test_tensorboard_reads_scalars(tmp_path: Path) -> None:
    (event,) = read(tmp_path, events.scalars({"a": 0.5, "b/c": -2.0}, step=3, moment=9.25))
    assert (event.step, event.wall_time) == (3, 9.25)
    values = {value.tag: value.tensor.float_val[0] for value in event.summary.value}
    assert values == {"a": 0.5, "b/c": -2.0}


def test_tensorboard_reads_an_experiment(tmp_path: Path) -> None:
    described = events.experiment(["lr", "kind"], ["lr"], ["accuracy", "loss"], moment=2.0)
    experiment = plugin_data(read(tmp_path, described)[0]).experiment
    assert [(info.name, info.type) for info in experiment.hparam_infos] == [("lr", 3), ("kind", 1)]
    assert [info.name.tag for info in experiment.metric_infos] == ["accuracy", "loss"]
    assert experiment.time_created_secs == 2.0


def test_tensorboard_reads_a_session(tmp_path: Path) -> None:
    values: dict[str, events.Value] = {"lr": 0.001, "depth": 3, "kind": "äbc"}
    start, end = read(
        tmp_path,
        events.session_start(values, moment=2.0),
        events.session_end(events.SessionStatus.FAILURE, moment=3.0),
    )
    begun = plugin_data(start).session_start_info
    assert begun.hparams["lr"].number_value == 0.001
    assert begun.hparams["depth"].number_value == 3
    assert begun.hparams["kind"].string_value == "äbc"
    assert (begun.group_name, begun.start_time_secs) == ("", 2.0)
    ended = plugin_data(end).session_end_info
    assert (ended.status, ended.end_time_secs) == (2, 3.0)


@given(st.integers(-(2**63), 2**63 - 1), st.floats(), st.floats(width=32), st.text(max_size=300))
def test_every_field_is_read_as_it_was_written(
    step: int, moment: float, value: float, tag: str
) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    encoded = b"".join((
        messages.double(1, moment),
        messages.integer(2, step),
        messages.message(5, messages.message(1, messages.text(1, tag) + messages.single(2, value))),
    ))  # fmt: skip
    event = Event.FromString(encoded)
    assert event.step == step
    assert event.wall_time == moment or math.isnan(moment)
    assert event.summary.value[0].tag == tag
    plotted = event.summary.value[0].simple_value
    assert plotted == value or math.isnan(value)


def test_a_number_that_is_too_large_for_a_float_is_infinite() -> None:
    assert messages.single(1, 1e300) == messages.single(1, math.inf)
    assert messages.single(1, -1e300) == messages.single(1, -math.inf)
