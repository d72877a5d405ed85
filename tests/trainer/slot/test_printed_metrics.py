"""Metrics from what a command prints: Katib's TEXT format, however the stream is cut."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Objective, ObjectiveType
from sparksweep_core.api.search_spec import MetricStrategy, MetricStrategyValue
from sparksweep_trainer.slot.printed_metrics import MAX_LINE_BYTES, MetricParser, strategies

MIN, MAX, LATEST = MetricStrategyValue.MIN, MetricStrategyValue.MAX, MetricStrategyValue.LATEST


def parse(output: str | bytes, **wanted: MetricStrategyValue) -> dict[str, float]:
    parser = MetricParser(wanted)
    parser.feed(output.encode() if isinstance(output, str) else output)
    return parser.finish()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss=0.5", 0.5),
        ("loss = 0.5", 0.5),
        ("epoch 1: loss=0.5, accuracy=0.9", 0.5),
        ("2026-01-01T00:00:00Z INFO loss=-3e-2 done", -0.03),
        ("loss=+.5", 0.5),
        ("loss=7", 7.0),
        ("loss=1E3", 1000.0),
        ("loss=0.5\r", 0.5),
        ("loss=0.5%", 0.5),
        ("loss=inf", math.inf),
        ("loss=-Infinity", -math.inf),
    ],
)
def test_a_metric_is_found_anywhere_in_a_line(line: str, value: float) -> None:
    assert parse(line, loss=LATEST) == {"loss": value}


def test_nan_is_a_value_and_not_a_missing_metric() -> None:
    assert math.isnan(parse("loss=NaN", loss=MIN)["loss"])


@pytest.mark.parametrize(
    "line",
    ["loss", "loss=", "loss=none", "val_loss=0.5", "my-loss=0.5", "loss: 0.5", "loss=\n0.5", "Loss=0.5",
     "loss=nano", "loss=e5"],
)  # fmt: skip
def test_what_only_looks_like_the_metric_is_not_taken(line: str) -> None:
    assert parse(line, loss=LATEST) == {}


def test_a_metric_whose_name_begins_with_anothers_is_told_apart() -> None:
    output = "loss=1 loss-val=2 loss|x=3"
    assert parse(output, **{"loss": LATEST, "loss-val": LATEST, "loss|x": LATEST}) == {
        "loss": 1.0,
        "loss-val": 2.0,
        "loss|x": 3.0,
    }


def test_of_a_series_the_strategys_value_counts() -> None:
    output = "m=2\nm=1\nm=3\nm=2.5\n"
    assert parse(output, m=MIN) == {"m": 1.0}
    assert parse(output, m=MAX) == {"m": 3.0}
    assert parse(output, m=LATEST) == {"m": 2.5}


def test_min_and_max_look_past_what_is_not_finite_and_latest_does_not() -> None:
    output = "m=nan\nm=2\nm=1\nm=inf\nm=nan\n"
    assert parse(output, m=MIN) == {"m": 1.0}
    assert parse(output, m=MAX) == {"m": 2.0}
    assert math.isnan(parse(output, m=LATEST)["m"])


def test_the_default_strategy_follows_the_objective_for_every_metric() -> None:
    objective = Objective(
        type=ObjectiveType.MINIMIZE,
        objective_metric_name="loss",
        additional_metric_names=["accuracy", "epoch"],
        metric_strategies=[MetricStrategy(name="accuracy", value=MAX)],
    )
    assert strategies(objective) == {"loss": MIN, "accuracy": MAX, "epoch": MIN}
    maximize = objective.model_copy(update={"type": ObjectiveType.MAXIMIZE})
    assert strategies(maximize)["loss"] is MAX


def test_a_progress_bars_carriage_returns_end_lines() -> None:
    parser = MetricParser({"loss": LATEST})
    parser.feed(b"loss=3\rloss=2\rloss=1")
    parser.feed(b".5\r")
    assert parser.finish() == {"loss": 1.5}


def test_only_the_beginning_of_an_endless_line_is_looked_at_and_the_next_line_again() -> None:
    parser = MetricParser({"a": LATEST, "b": LATEST, "c": LATEST})
    parser.feed(b"a=1 " + b"." * MAX_LINE_BYTES)
    for _ in range(100):
        parser.feed(b"." * 10_000 + b" b=2 ")
    assert len(parser._pending) <= MAX_LINE_BYTES
    parser.feed(b" b=2\nc=3\n")
    assert parser.finish() == {"a": 1.0, "c": 3.0}


def test_output_that_is_no_text_does_no_harm() -> None:
    assert parse(b"\xff\xfe loss=0.5 \x00\xff\n", loss=LATEST) == {"loss": 0.5}


def test_without_metrics_nothing_is_looked_for() -> None:
    assert parse("loss=0.5") == {}


_LINES = st.lists(
    st.sampled_from(
        ["loss=0.25", "loss=-1e2", "loss=nan", "acc = 3", "loss", "=", "noise 12.5", "xloss=9", "é"]
    ),
    max_size=12,
).flatmap(lambda parts: st.sampled_from([" ", "\n", "\r\n", ", "]).map(lambda by: by.join(parts)))


@given(output=_LINES, cuts=st.lists(st.integers(0, 200), max_size=6), strategy=st.sampled_from(list(MetricStrategyValue)))  # fmt: skip
def test_where_the_stream_is_cut_makes_no_difference(
    output: str, cuts: list[int], strategy: MetricStrategyValue
) -> None:
    wanted = {"loss": strategy, "acc": strategy}
    data = output.encode()
    parser = MetricParser(wanted)
    before = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        parser.feed(data[before:cut])
        before = cut
    assert str(parser.finish()) == str(parse(data, **wanted))
