"""Values of parameters in all tables, files and commands: what the function got."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from sparksweep import Experiment
from sparksweep._result import Result
from sparksweep._runs.local_run import LocalRunReader
from sparksweep.cli import cli
from sparksweep_core.api import ParameterType
from sparksweep_core.validation.document import parse_experiment
from sparksweep_trainer.trial.arguments import decode
from support.sdk.run_directories import discrete, experiment_of, record_run, succeeded

BIG = 2**53 + 7
RANGE = {"min": "-9223372036854775808", "max": "9223372036854775807"}
LONG = "9" * 256

CASES: list[tuple[str, dict[str, Any], list[str], list[Any], str, Any]] = [
    # the parameter, the texts of its trials, the values in every place, the DataFrame's dtype, the Parquet type
    ("an integer", {"list": ["1", "3"]}, ["3", "1"], [3, 1], "int64", "int64"),
    ("signs and zeros", {"list": ["+5", "-7", "007", "-0"]}, ["+5", "-7", "007", "-0"], [5, -7, 7, 0], "int64", "int64"),
    ("above 2^53", {"list": [str(BIG), str(BIG + 1)]}, [str(BIG), str(BIG + 1)], [BIG, BIG + 1], "int64", "int64"),
    ("the seed of a run", {"list": ["9007199254740999"]}, ["9007199254740999"], [9007199254740999], "int64", "int64"),
    ("the ends of 64 bits", {"list": [str(-(2**63)), str(2**63 - 1)]}, [str(-(2**63)), str(2**63 - 1)], [-(2**63), 2**63 - 1], "int64", "int64"),
    ("64 bits without a sign", {"list": ["1", str(2**64 - 1)]}, [str(2**64 - 1)], [2**64 - 1], "uint64", "uint64"),
    ("beyond 64 bits", {"list": ["-1", str(2**64)]}, [str(2**64), "-1"], [2**64, -1], "object", "decimal128(38, 0)"),
    ("forty digits", {"list": [str(10**40 + 1)]}, [str(10**40 + 1)], [10**40 + 1], "object", "decimal256(76, 0)"),
    ("256 digits", {"list": [LONG]}, [LONG], [int(LONG)], "object", "string"),
    ("floats", {"list": ["0.1", "1e-05", "2.0"]}, ["0.1", "1e-05", "2.0"], [0.1, 1e-05, 2.0], "float64", "double"),
    ("seventeen digits", {"list": ["0.30000000000000004"]}, ["0.30000000000000004"], [0.1 + 0.2], "float64", "double"),
    ("a number as an exponent", {"list": ["1e3", "1E5"]}, ["1e3", "1E5"], [1e3, 1e5], "float64", "double"),
    ("the ends of a double", {"list": ["5e-324", repr(sys.float_info.max)]}, ["5e-324", repr(sys.float_info.max)], [5e-324, sys.float_info.max], "float64", "double"),
    ("integers and floats", {"list": ["3", "2.5"]}, ["3", "2.5"], [3, 2.5], "float64", "double"),
    ("large integers and floats", {"list": [str(BIG), "0.5"]}, [str(BIG), "0.5"], [BIG, 0.5], "object", "string"),
    ("a range of integers", RANGE, [str(BIG), str(-(2**63))], [BIG, -(2**63)], "int64", "int64"),
    ("a range of doubles", {"min": "0", "max": "1e300"}, ["3", "0.1"], [3.0, 0.1], "float64", "double"),
    ("text", {"list": ["3", "3.0", "true", "1e5", " "]}, ["3", "3.0", "true", "1e5", " "], ["3", "3.0", "true", "1e5", " "], "object", "string"),
]  # fmt: skip
KINDS = {"a range of integers": "int", "a range of doubles": "double", "text": "categorical"}


@pytest.mark.parametrize(
    ("name", "space", "texts", "values", "dtype", "arrow"), CASES, ids=[case[0] for case in CASES]
)
def test_a_value_is_the_same_for_the_function_and_in_every_table(
    tmp_path: Path,
    name: str,
    space: dict[str, Any],
    texts: list[str],
    values: list[Any],
    dtype: str,
    arrow: str,
) -> None:
    kind = KINDS.get(name, "discrete")
    experiment = experiment_of([{"name": "x", "parameterType": kind, "feasibleSpace": space}])
    statuses = [succeeded(n, -n) for n in range(1, len(texts) + 1)]
    run = str(record_run(tmp_path / "run", experiment, [{"x": text} for text in texts], statuses))

    def typed(shown: list[Any]) -> list[tuple[type, Any]]:
        return [(type(value), value) for value in shown]

    assert typed([decode(kind, text) for text in texts]) == typed(values), "function"
    rows = json.loads(output("trials", run, "-o", "json"))
    assert typed([row["parameters"]["x"] for row in rows]) == typed(values), "JSON"
    best = json.loads(output("best", run, "-o", "json"))
    assert typed([best["parameters"]["x"]]) == typed(values[:1]), "JSON of the best"
    best = yaml.safe_load(output("best", run, "-o", "yaml"))
    assert typed([best["parameters"]["x"]]) == typed(values[:1]), "YAML of the best"
    # People read six digits of a long float.
    is_long = isinstance(values[0], float) and len(str(values[0])) > 10
    shown = f"{values[0]:.6g}" if is_long else values[0]
    assert f"parameters.x: {shown}\n" in output("best", run)
    table = csv.DictReader(io.StringIO(output("trials", run, "-o", "csv")))
    assert [row["parameters.x"] for row in table] == [str(value) for value in values], "CSV"

    reader = LocalRunReader(Path(run))
    result = Result(reader.experiment(), reader.trials(), logdir=run)
    assert typed(list(result.best_params.values())) == typed(values[:1]), "best_params"
    column = result.trials["parameters.x"]
    assert str(column.dtype) == dtype
    assert column.tolist() == values, "DataFrame"

    path = tmp_path / "trials.parquet"
    path.write_bytes(output_bytes("trials", run, "-o", "parquet"))
    stored = pq.read_table(path)["parameters.x"]
    assert str(stored.type) == arrow
    expected = list(map(str, values)) if arrow == "string" else values
    assert stored.to_pylist() == expected, "Parquet"
    assert all(isinstance(v, Decimal) for v in stored.to_pylist()) == arrow.startswith("decimal")


def output(*arguments: str) -> str:
    return output_bytes(*arguments).decode()


def output_bytes(*arguments: str) -> bytes:
    done = CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False)
    return done.stdout_bytes


def test_integers_stay_integers_where_values_are_missing(tmp_path: Path) -> None:
    experiment = experiment_of([discrete("x", ["1", str(BIG)])])
    path = record_run(
        tmp_path / "run", experiment, [{"x": str(BIG)}, {"x": "1"}], [succeeded(1, 0.5)]
    )
    reader = LocalRunReader(path)
    table = Result(reader.experiment(), reader.trials(), logdir=None).trials
    assert str(table.index.dtype) == "int64"
    assert {name: str(table[name].dtype) for name in ("attempt", "retries")} == {
        "attempt": "int64",
        "retries": "int64",
    }
    assert str(table["peak_memory_bytes"].dtype) == "Int64"
    assert table.loc[1, "parameters.x"] == BIG
    assert table["peak_memory_bytes"].tolist()[0] == 2**20
    rows = csv.DictReader(io.StringIO(output("trials", str(path), "-o", "csv")))
    assert [row["peak_memory_bytes"] for row in rows] == ["1048576", ""]


@pytest.mark.parametrize("kind", ParameterType)
@pytest.mark.parametrize("text", ["3", "-3", "+3", "007", str(2**63 - 1), "1.0", "1e3", ".5", "5."])
def test_the_core_and_the_trial_read_a_text_alike(kind: ParameterType, text: str) -> None:
    from sparksweep_core.api.parameter_values import typed_value

    if kind is ParameterType.INT and not text.lstrip("+-").isdigit():
        return
    value, got = typed_value(kind, text), decode(kind.value, text)
    assert (type(value), value) == (type(got), got)


def test_objects_of_a_list_are_themselves_where_json_and_yaml_can_hold_them(tmp_path: Path) -> None:
    values = [True, None, (1, 2.5), {"kind": ["svm", {"C": 1}]}, b"x", "text", float("nan"), {1: 2}]
    built = Experiment(lambda flag: 1.0, {"flag": values}, objective="score", name="listed")
    recorded = parse_experiment(built.to_dict())
    texts = recorded.spec.parameters[0].feasible_space.list or []
    run = record_run(
        tmp_path / "run", recorded, [{"flag": text} for text in texts],
        [succeeded(n, -n) for n in range(1, len(texts) + 1)],
    )  # fmt: skip
    rows = json.loads(output("trials", str(run), "-o", "json"))
    expected = [True, None, [1, 2.5], values[3], "b'x'", "text", "nan", "{1: 2}"]
    assert [row["parameters"]["flag"] for row in rows] == expected
    rows = yaml.safe_load(output("trials", str(run), "-o", "yaml"))
    assert [row["parameters"]["flag"] for row in rows] == expected
    assert json.loads(output("best", str(run), "-o", "json"))["parameters"] == {"flag": True}
    opened = Experiment.open(run).result()
    assert repr([trial.parameters["flag"] for trial in opened.trials]) == repr(values)
    table = csv.DictReader(io.StringIO(output("trials", str(run), "-o", "csv")))
    assert [row["parameters.flag"] for row in table] == texts
