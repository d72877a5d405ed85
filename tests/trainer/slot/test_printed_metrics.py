"""Metrics from what a command prints, by the grammar of docs/trials.md, however its two streams are cut."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Objective, ObjectiveType
from sparksweep_core.api.search_spec import MetricStrategy, MetricStrategyValue
from sparksweep_core.api.template import MetricsFormat
from sparksweep_trainer.slot.output_lines import MAX_LINE_BYTES
from sparksweep_trainer.slot.printed_metrics import (
    MAX_OTHERS,
    Printed,
    PrintedMetrics,
    strategies,
)
from support.hypothesis_profiles import examples
from support.trainer import metric_reference as reference

MIN, MAX, LATEST = MetricStrategyValue.MIN, MetricStrategyValue.MAX, MetricStrategyValue.LATEST
EQUALS, COLON = MetricsFormat.EQUALS, MetricsFormat.EQUALS_OR_COLON
DOCUMENT = Path(__file__).parents[3] / "docs" / "trials.md"


def read(
    stdout: str | bytes,
    *names: str,
    stderr: bytes = b"",
    strategy: MetricStrategyValue = LATEST,
    form: MetricsFormat = EQUALS,
) -> Printed:
    metrics = PrintedMetrics(dict.fromkeys(names, strategy), form)
    metrics.stdout.feed(stdout.encode() if isinstance(stdout, str) else stdout)
    metrics.stderr.feed(stderr)
    return metrics.finish()


def documented() -> list[tuple[str, str, str, str]]:
    """Return the rows of the page's table: format, metric, printed text, result."""
    row = re.compile(r"\| `(Equals\w*)` \| `(.+?)` \| `(.+)` \| (.+?) \|")
    rows = [row.fullmatch(line) for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    return [
        (match[1], match[2].replace("\\|", "|"), match[3].replace("\\|", "|"), match[4])
        for match in rows
        if match
    ]


def test_the_page_has_a_table_of_examples() -> None:
    assert len(documented()) >= 60


@pytest.mark.parametrize(("form", "name", "line", "result"), documented())
def test_an_example_of_the_page_is_true(form: str, name: str, line: str, result: str) -> None:
    printed = read(line, name, form=MetricsFormat(form))
    if result == "missing":
        assert (printed.values, printed.not_numbers) == ({}, {})
    elif result == "not a number":
        assert printed.values == {}
        assert printed.not_numbers.keys() == {name}
    else:
        assert str(printed.values[name]) == str(float(result))
    expected = reference.outcome(line.encode(), b"", {name: "latest"}, colon=form != "Equals")
    assert str(printed.values.get(name, result)) == str(expected.get(name, "missing"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("7", 7), ("+.5", 0.5), ("1E3", 1000), ("1e+3", 1000), ("1d3", 1000), ("1.5Q+02", 150), ("-1.D+00", -1),
        ("0.100000000000000E+01", 1), (".5E-01", 0.05), ("0.5-100", 5e-101), ("5.+100", 5e100), ("007", 7), ("-0.0", -0.0),
        ("1e-400", 0), ("-1e999", -math.inf), ("1" * 400, math.inf), ("0x1p-3", 0.125), ("-0X1.8P0", -1.5), ("\u22120.5", -0.5),
        ("1.5e-05)", 1.5e-5), ("0.5]", 0.5), ("0.5}", 0.5), ("0.5>", 0.5), ('0.5"', 0.5), ("0.5'", 0.5), ("0.5|", 0.5),
        ("0.5!", 0.5), ("0.5?", 0.5), ("0.5...", 0.5), ("0.5:", 0.5), ("0.5-", 0.5), ("0.5&x=1", 0.5), ("0.5\\n", 0.5), ("0.5+/-0.1", 0.5),
        ("0.5 +/- 0.1", 0.5), ("0.5, 3", 0.5), ("0.5;3", 0.5), ("0.5;x=3", 0.5), ("0.5,x=3", 0.5), ("5 %", 5), ("0.5 ms", 0.5),
        ("1 234", 1), ("0.5\xa0s", 0.5), ("'0.5'", 0.5), ('"91%"', 91), ("np.float32(-0.5)", -0.5), ("np.int64(3)", 3),
        ("np.float64(nan)", math.nan), ("numpy.float64(1e-05)", 1e-5), ("np.longdouble('0.5')", 0.5), ("array(0.5)", 0.5),
        ("array(0.5, dtype=float32)", 0.5), ("Array(0.5, dtype=float32, weak_type=True)", 0.5), ("tensor(2)", 2),
        ("tensor(0.5, grad_fn=<NllLossBackward0>)", 0.5), ("tf.Tensor(0.5, shape=(), dtype=float32)", 0.5),
        ("Decimal('0.5')", 0.5), ("inf", math.inf), ("+Inf", math.inf), ("-INFINITY", -math.inf), ("infinity.", math.inf),
        ("nan", math.nan), ("-NaN", math.nan), ("nan(0x8000)", math.nan), ("NAN(IND)", math.nan), ("nan,", math.nan),
        ("1.#INF00", math.inf), ("-1.#IND", math.nan), ("1.#QNAN0", math.nan),
    ],
)  # fmt: skip
def test_a_number_of_any_program_is_read(text: str, value: float) -> None:
    assert str(read(f"m={text}", "m").values.get("m")) == str(float(value))
    assert str(read(f"m: {text}", "m", form=COLON).values.get("m")) == str(float(value))


@pytest.mark.parametrize(
    "text",
    [
        "1,234.5", "1_234.5", "0x10", "0.5.3", "1'234", "1\u202f234,5", "1\xa0000", "0,5", "0.5s", "3GB", "1m30s", "1st", "0.5f",
        "1L", "3j", "1+2j", "0.5/1", "3/10", "2026-01-01", "12:30:01", "0.9-0.1", "1.0.post1", "v1", "1e", "1e+", "e5",
        "--0.5", "+-0.5", "- 0.5", "+", ".", "-.", "0.5=1", "10^3", "2**3", "1.5\xd710^-3", "1.5 x 10^-3", "1.5 * 10", "10²", "٣",
        "\uff10.\uff15", "½", "1\u0301", "[0.5]", "(0.5)", "{0.5}", "<0.5>", "$0.5", "~0.5", ">0.5", "None", "null", "N/A", "True", "nano", "info",
        "infinite", "NaN1", "none", "****", "--", "np.mean(0.5)", "round(0.5, 2)", "tensor([0.5])", "Fraction(1, 2)", "'0.5",
        "\"0.5'", "'x'", "", "#1", "0.5#", "1.#", "1.5\u22123", "5µs", "5_", "0x1.8", "0xp1", "1e5.5", "1e-5-3", "tensor(0.5, 3)",
    ],
)  # fmt: skip
def test_what_is_no_number_is_said_and_never_shortened_to_one(text: str) -> None:
    printed = read(f"m={text}", "m")
    assert printed.values == {}
    assert printed.not_numbers.keys() == {"m"}
    if text:
        assert printed.not_numbers["m"] in text.rstrip(",;")


@pytest.mark.parametrize(
    "line",
    ["m", "m 0.5", "m-0.5", "xm=1", "m_=1", "m1=1", "1m=1", "m.x=1", "x.m=1", "x/m=1", "m/x=1", "x-m=1", "m@5=1", "m(x)=1",
     "m%=1", "x:m=1", "m:x=1", "x|m=1", "ém=1", "mé=1", "m\u0301=1", "损m=1", "m²=1", "M=1", "-m=1", "/m=1", "@m=1", "%m=1",
     "m+=1", "m*=1", "m!=1", "m<=1", "m>=1", "m==1", "m ~= 1", "'x m'=1", "[m]=1", "m[0]=1",
     "logs['m']=1", "`m`=1", "m\xffx=1"],
)  # fmt: skip
def test_another_name_or_another_operator_is_no_metric(line: str) -> None:
    data = line.encode("latin-1") if "\xff" in line else line.encode()
    assert read(data, "m").values == {}


@pytest.mark.parametrize(
    "line",
    ["m=1", " m=1", "\tm =\t1", "x, m=1", "[m=1]", "{m=1}", "(m=1)", "<m=1>", "*m=1*", "#m=1", "→ m=1", "🚀m=1", "…m=1", "...m=1",
     "done...m=1", "x=2;m=1", "x=2,m=1", "x=2|m=1", "x=2:m=1", "x=2 m=1", ":m=1", "|m=1|", ".m=1", "m:=1", "(m)=1", "m)=1",
     "\"m\"=1", "'m'=1", "'m' = 1", "INFO:root:m=1", "INFO:m=1", "WARNING:my.module:m=1", "12:30:INFO:root:m=1", "INFO|m=1",
     "INFO-m=1", "2026-01-01 INFO m=1", "I0101 12:00 train.py:3] m=1", "100%|███| 9/9 [00:01<00:00, 8.5it/s, m=1]",
     "\x1b[32mm=1\x1b[0m", "\x1b[1mm\x1b[0m=\x1b[33m1\x1b[0m", "m\x1b[0m = \x1b[1;31m1\x1b[K", "\x1b]0;title\x07m=1", "\x1b(Bm=1",
     "\x1b]8;;http://x\x1b\\m=1\x1b]8;;\x1b\\", "\ufeffm=1", "m\u200b=1", "m=1\x00", "\x00m=1", "m=9\b1", "x\bm=1", "m=1\x1b[5n",
     "xx\x1b[2Km=1", "x\x1b[1Gm=1", "x\x1b[Am=1", "m=1\x1b[", "x\rm=1\ry", "\x07m=1"],
)  # fmt: skip
def test_what_is_around_a_metric_makes_no_difference(line: str) -> None:
    assert read(line, "m").values == {"m": 1.0}


@pytest.mark.parametrize(
    "name",
    ["metrics/mAP50-95(B)", "val acc", "précision", "损失", "हिन्दी", "R²", "Δloss", "a:b|c@d%e.f/g-h_i(j)", "AP[.5:.95]", "it's",
     'say "x"', "x=y", "a, b", "loss+reg", "p<0.05", "🚀", "a..b", "acc.", "(x", "µ", "ß", "a  b", "f1 (macro)", "5'"],
)  # fmt: skip
def test_a_metric_of_any_name_is_found(name: str) -> None:
    if "=" not in name:
        assert read(f"x {name}=0.5 y", name).values == {name: 0.5}
    quote = "'" if '"' in name else '"'
    assert read(f"x{quote}{name}{quote}=0.5 y", name).values == {name: 0.5}
    assert read(f"{quote}{name}{quote}: 0.5", name, form=COLON).values == {name: 0.5}
    assert read(f"z{name}=0.5", name).values == {} or not name[0].isalnum()


@pytest.mark.parametrize(
    ("form", "name", "output", "value"),
    [
        (COLON, "accuracy", "1/9 \x1b[32m━\x1b[0m - accuracy: 0.5 - loss: 2" + "\b" * 99 + "\r2/9 - accuracy: 0.75 - loss: 1\n", 0.75),
        (EQUALS, "train_loss", "Epoch 0: 100%|███| 9/9 [00:05<00:00, 166.6it/s, v_num=0, train_loss=0.123]\x1b[A", 0.123),
        (COLON, "eval_loss", "{'eval_loss': 0.5, 'learning_rate': 5e-05, 'epoch': 1.0}", 0.5),
        (EQUALS, "eval_loss", "  eval_loss               =     0.2345", 0.2345),
        (EQUALS, "train_runtime", "  train_runtime           = 0:01:23.45", None),
        (EQUALS, "score", "[CV 1/5] END ..C=1, kernel=rbf;, score=0.95 total time=   0.0s", 0.95),
        (COLON, "validation_1-logloss", "[0]\tvalidation_0-logloss:0.55\tvalidation_1-logloss:0.60", 0.6),
        (COLON, "test-rmse", "[0]\ttrain-rmse:0.5+0.01\ttest-rmse:0.6+0.02", None),
        (COLON, "test", "0:\tlearn: 0.6\ttest: 0.7\tbest: 0.6 (0)\ttotal: 47ms", 0.7),
        (COLON, "valid_0's auc", "[1]\tvalid_0's auc: 0.8\tvalid_0's l2: 0.6", 0.8),
        (COLON, "Accuracy", "Test set: Average loss: 0.0512, Accuracy: 9832/10000 (98%)", None),
        (COLON, "Average loss", "Test set: Average loss: 0.0512, Accuracy: 9832/10000 (98%)", 0.0512),
        (EQUALS, "loss", '{"level":"info","msg":"loss=0.5\\n","ts":1.5}', 0.5),
        (COLON, "loss", '{"level":"info","loss":0.5,"ts":1.5}', 0.5),
        (EQUALS, "RMSE", '[1] "RMSE=0.5"', 0.5),
        (EQUALS, "Validation-accuracy", "INFO:root:Epoch[3] Validation-accuracy=0.97", 0.97),
        (EQUALS, "loss", "Namespace(loss='mse', lr=0.1)\nloss=0.5", 0.5),
    ],
)  # fmt: skip
def test_the_output_of_a_framework_is_read(
    form: MetricsFormat, name: str, output: str, value: float | None
) -> None:
    printed = read(output, name, form=form)
    assert printed.values == ({} if value is None else {name: value})
    assert (name in printed.not_numbers) == (value is None)


def test_an_accent_may_be_a_character_of_its_own() -> None:
    one, two = "pr\xe9cision", "pre\u0301cision"
    assert read(f"{one}=0.5", two).values == {two: 0.5}
    assert read(f"{two}=0.5", one).values == {one: 0.5}


def test_both_streams_are_read_each_with_lines_of_its_own() -> None:
    metrics = PrintedMetrics(dict.fromkeys("ab", LATEST))
    metrics.stdout.feed(b"a=1 b=")
    metrics.stderr.feed(b"a=2\n3 b=7")
    metrics.stdout.feed(b"4\n")
    assert metrics.finish().values == {"a": 1.0, "b": 7.0}
    assert metrics.finish().values == {"a": 1.0, "b": 7.0}


def test_of_a_series_the_strategys_value_counts() -> None:
    output = "m=2\nm=1\nm=3\nm=2.5\n"
    assert read(output, "m", strategy=MIN).values == {"m": 1.0}
    assert read(output, "m", strategy=MAX).values == {"m": 3.0}
    assert read(output, "m", strategy=LATEST).values == {"m": 2.5}


def test_min_and_max_look_past_what_is_not_finite_and_latest_does_not() -> None:
    output = "m=nan\nm=2\nm=1\nm=inf\nm=nan\n"
    assert read(output, "m", strategy=MIN).values == {"m": 1.0}
    assert read(output, "m", strategy=MAX).values == {"m": 2.0}
    assert math.isnan(read(output, "m", strategy=LATEST).values["m"])


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
    metrics = PrintedMetrics({"loss": MAX})
    metrics.stderr.feed(b"loss=3\rloss=2\rloss=1")
    metrics.stderr.feed(b".5\r")
    assert metrics.finish().values == {"loss": 3.0}


def test_what_is_written_over_is_not_read() -> None:
    assert read("loss=0.5\b\b\b0.4", "loss").values == {"loss": 0.4}
    assert read("loss=0.53\x1b[4D0.41", "loss").values == {"loss": 0.41}
    assert read("loss=0.53\b\b\b\b\x1b[K0.4", "loss").values == {"loss": 0.4}
    assert read("loss=0.5" + "\b" * 20 + "\r1/9", "loss").values == {"loss": 0.5}


def test_only_the_beginning_of_an_endless_line_is_read_and_the_next_line_again() -> None:
    metrics = PrintedMetrics(dict.fromkeys("abc", LATEST))
    metrics.stdout.feed(b"a=1 " + b"." * MAX_LINE_BYTES)
    for _ in range(100):
        metrics.stdout.feed(b"." * 10_000 + b" b=2 ")
    metrics.stdout.feed(b" b=2\nc=3\n")
    printed = metrics.finish()
    assert printed.values == {"a": 1.0, "c": 3.0}
    assert printed.is_cut


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
@pytest.mark.parametrize(
    ("rest", "is_cut"), [("", False), ("xloss", False), ("loss: 3", True), ("los=", False), ("loss =1", True)]
)  # fmt: skip
def test_a_name_beyond_the_beginning_of_a_long_line_is_noticed(
    rest: str, is_cut: bool, size: int
) -> None:
    metrics = PrintedMetrics({"loss": LATEST})
    metrics.stdout.feed(b"." * (MAX_LINE_BYTES - 2))
    data = b"..." + rest.encode() + b".\nloss=1\n"
    for start in range(0, len(data), size):
        metrics.stdout.feed(data[start : start + size])
    printed = metrics.finish()
    assert (printed.is_cut, printed.values) == (is_cut, {"loss": 1.0})


@pytest.mark.parametrize("beyond", [0, 1, 2, 3])
def test_a_number_that_the_end_of_a_long_line_cuts_is_not_read(beyond: int) -> None:
    line = b"." * (MAX_LINE_BYTES - 8 + beyond - 1) + b" loss=0.5"
    assert read(line, "loss").values == ({"loss": 0.5} if beyond == 0 else {})
    assert read(line + b"\nx", "loss").values == ({"loss": 0.5} if beyond == 0 else {})


def test_text_like_a_number_is_remembered_beside_numbers_and_other_words_are_not() -> None:
    assert read("loss=mse\nloss=0.5\n", "loss").not_numbers == {}
    assert read("loss=1,234.5\nloss=mse\nloss=0.5\n", "loss").not_numbers == {"loss": "1,234.5"}


def test_metrics_of_similar_names_and_of_the_other_format_are_remembered() -> None:
    printed = read("train/loss=0.5\nLoss=0.25\nloss: 0.125\nother=3", "loss")
    assert printed.others == ("train/loss=0.5", "Loss=0.25")
    assert printed.with_colon == {"loss": "loss: 0.125"}
    many = "".join(f"loss{n}={n}\n" for n in range(100))
    assert len(read(many, "loss").others) == MAX_OTHERS


def test_output_that_is_no_text_does_no_harm() -> None:
    assert read(b"\xff\xfe loss=0.5 \x00\xff\n", "loss").values == {"loss": 0.5}


def test_without_metrics_nothing_is_looked_for() -> None:
    assert read("loss=0.5") == Printed()


def test_lines_without_the_name_of_a_metric_are_not_searched() -> None:
    metrics = PrintedMetrics({"loss": MIN})
    for _ in range(100):
        metrics.stdout.feed(b"epoch = 3: " + b"x=1 " * 1000 + b"\n")
        metrics.stderr.feed(b"\x1b[32m" + b"y=1 " * 1000 + b"\x1b[0m\n")
    metrics.stdout.feed(b"loss=1\n")
    assert metrics.finish().values == {"loss": 1.0}
    assert (metrics.stdout.read_lines, metrics.stderr.read_lines) == (1, 0)


@pytest.mark.parametrize(
    "piece",
    ["=", "a=", "a=1", "a=1e", "1", ".", "a", " ", "a ", "a = ", "'", '"', "'a", "(", "a=(", "()", "..", "a=nan(", "INFO:",
     "a=1.", "a=1 ", "a=1 x ", "a=tensor(", "a=tensor(1,", "\x1b]", "\x1b[", "\x1b[1", "\x1b[9999C", "\b", "a\b", "\x1bP", "é", "a=é",
     "\x90", "\x1b[9999999999D", ":", "a:", "::", "e\u0301"],
)  # fmt: skip
def test_no_line_takes_long(piece: str) -> None:
    # A cost that grows with the square of a line's length would take minutes here.
    line = (piece * MAX_LINE_BYTES)[:MAX_LINE_BYTES].encode()[:MAX_LINE_BYTES]
    for form in (EQUALS, COLON):
        metrics = PrintedMetrics(dict.fromkeys(["a", "a b", "é"], MIN), form)
        metrics.stdout.feed(line + b" a\n")
        metrics.stdout.feed(b"a=3\n")
        assert metrics.finish().values["a"] in (1.0, 3.0, 0.0)


def test_a_line_that_comes_byte_by_byte_is_read() -> None:
    metrics = PrintedMetrics({"a": MIN})
    for byte in b"." * (MAX_LINE_BYTES - 4) + b" a=1\na=2\n":
        metrics.stdout.feed(bytes([byte]))
    assert metrics.finish().values == {"a": 1.0}


NAMES = ["loss", "acc", "val acc", "train/acc", "précision", "mAP50-95(B)", "x:y"]
_PIECES = st.sampled_from(
    [*NAMES, '"val acc"', "'acc'", "=", "=", "=", " = ", ":", ": ", "0.25", "-1e2", "1.D-05", "nan", "-inf", ".5", "5.", "1,234", "0x10",
     "0x1p3", "0.5.3", "np.float64(0.5)", "tensor(0.5, device='c')", "s", "%", ",", ", ", ";", ".", "..", "(", ")", "[", "]", "'", '"', "|",
     "-", "+", "+-", "/", "_", "*", "x", " x 10", "é", "e\u0301", "\u0301", "²", "\u200c", "\u202f", "\xa0", "\u2212", "\ufffd", "INFO:", "root:", "INFO:root:", " ", " ", "\t", "\n", "\r", "\r\n",
     "\b", "\b\b\b", "\x1b[32m", "\x1b[0m", "\x1b[K", "\x1b[2K", "\x1b[3D", "\x1b[2C", "\x1b[H", "\x1b]0;t\x07", "\x1b]", "\x1b[", "\x1b(B", "\x1b", "\x07", "\x00", "\ufeff", "\u200b", "\x9b", "1", "e5", "@", "#"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=3), max_size=24).map("".join)
_STREAMS = _TEXTS.map(lambda text: text.encode(errors="replace")) | st.lists(
    _PIECES.map(str.encode) | st.binary(max_size=3), max_size=24
).map(b"".join)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut data at some of its positions."""
    ends = [*sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@examples(3000)
@given(
    stdout=_STREAMS,
    stderr=_STREAMS,
    cuts=st.lists(st.integers(0, 150), max_size=8),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    strategy=st.sampled_from(list(MetricStrategyValue)),
    form=st.sampled_from(list(MetricsFormat)),
)
def test_the_reference_reads_the_same_wherever_the_streams_are_cut(
    stdout: bytes,
    stderr: bytes,
    cuts: list[int],
    names: list[str],
    strategy: MetricStrategyValue,
    form: MetricsFormat,
) -> None:
    metrics = PrintedMetrics(dict.fromkeys(names, strategy), form)
    for piece in pieces(stdout, cuts):
        metrics.stdout.feed(piece)
    if stdout[-1:] not in (b"\n", b"\r"):
        # So that this line, too, ends before standard error.
        metrics.stdout.feed(b"\n")
    for piece in pieces(stderr, cuts):
        metrics.stderr.feed(piece)
    printed = metrics.finish()
    wanted = dict.fromkeys(names, strategy.value)
    expected = reference.outcome(stdout, stderr, wanted, colon=form is COLON)
    read = {name: printed.values.get(name, reference.NOT_A_NUMBER) for name in expected}
    assert {name: str(value) for name, value in read.items()} == {
        name: str(value) for name, value in expected.items()
    }
    assert printed.values.keys() <= expected.keys()
    assert {*printed.values, *printed.not_numbers} == expected.keys()
