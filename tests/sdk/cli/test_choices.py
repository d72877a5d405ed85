"""``sparksweep trials``: rows, columns and formats; and the words of what it refuses."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from sparksweep.cli import _run, cli
from sparksweep.cli.run import run as run_command
from sparksweep_core.api import TrialState, TrialStatus
from support.sdk.run_directories import discrete, experiment_of, record_run, succeeded

SCORES = {1: 0.5, 2: 5.607961234567e-05, 3: 0.75, 4: None, 5: 0.75, 6: None, 7: None}
"""Trial 4 failed, 6 waits, 7 never ran."""
RATES = ["0.30000000000000004", "1", "10", "2", "3", "4", "5"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = experiment_of(
        [discrete("rate", RATES), {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}}],
        objective={"type": "maximize", "objectiveMetricName": "score", "additionalMetricNames": ["loss"]},
    )  # fmt: skip
    statuses = []
    for number, score in SCORES.items():
        status = succeeded(number, score or 0)
        status = status.model_copy(update={"duration_seconds": 100.0 / number})
        if score is not None:
            metrics = {"score": score, "loss": 1 / number, "further": number * 1.0}
            status = status.model_copy(update={"metrics": metrics})
        statuses.append(status)
    failure = {"state": TrialState.FAILED, "reason": "Exception", "message": "ValueError: boom\nmore", "metrics": {}}  # fmt: skip
    statuses[3] = statuses[3].model_copy(update=failure)
    statuses[5] = TrialStatus(number=6)
    statuses[6] = TrialStatus(number=7, state=TrialState.STOPPED, reason="GoalReached")
    points = [{"rate": rate, "kind": "ab"[n % 2]} for n, rate in enumerate(RATES)]
    return record_run(tmp_path_factory.mktemp("runs") / "run", experiment, points, statuses)


def trials(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["trials", str(directory), *words], catch_exceptions=False)


def numbers(directory: Path, *words: str) -> list[int]:
    return [int(line.split()[0]) for line in trials(directory, *words).stdout.splitlines()[1:]]


def test_the_table(directory: Path) -> None:
    done = trials(directory)
    assert done.stdout.splitlines()[:3] == [
        "Trial  State            score  rate  kind      loss   Time  Memory  Reason",
        "    1  Succeeded          0.5   0.3  a            1  1m40s     1Mi",
        "    2  Succeeded  5.60796e-05     1  b          0.5  50.0s     1Mi",
    ]
    assert "    4  Failed                     2  b               25.0s     1Mi  Exception: ValueError: boom" in done.stdout  # fmt: skip
    assert done.stderr == "1 more trial was not started: the experiment had ended\n"


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("score", [3, 5, 1, 2, 4, 6]),
        ("objective", [3, 5, 1, 2, 4, 6]),
        ("metrics.score", [3, 5, 1, 2, 4, 6]),
        ("-score", [2, 1, 3, 5, 4, 6]),
        ("loss", [5, 3, 2, 1, 4, 6]),
        ("rate", [1, 2, 4, 5, 6, 3]),
        ("parameters.rate", [1, 2, 4, 5, 6, 3]),
        ("-rate", [3, 6, 5, 4, 2, 1]),
        ("kind", [1, 3, 5, 2, 4, 6]),
        ("time", [5, 4, 3, 2, 1, 6]),
        ("-Time", [1, 2, 3, 4, 5, 6]),
        ("duration_seconds", [5, 4, 3, 2, 1, 6]),
        ("trial", [1, 2, 3, 4, 5, 6]),
        ("-number", [6, 5, 4, 3, 2, 1]),
        ("state", [4, 6, 1, 2, 3, 5]),
        ("reason", [4, 1, 2, 3, 5, 6]),
        ("further", [1, 2, 3, 5, 4, 6]),
    ],
)
def test_rows_are_sorted_by_any_column(directory: Path, column: str, order: list[int]) -> None:
    assert numbers(directory, "--sort", column) == order


def test_the_first_rows(directory: Path) -> None:
    done = trials(directory, "--sort", "score", "-n", "2")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["Trial", "3", "5"]
    assert "and 4 more\n" in done.stderr
    rows = json.loads(trials(directory, "--sort", "score", "-n", "2", "-o", "json").stdout)
    assert [row["number"] for row in rows] == [3, 5]


@pytest.mark.parametrize("form", ["table", "wide", "csv", "parquet", "json", "yaml"])
def test_an_unknown_column_is_refused_with_the_nearest(directory: Path, form: str) -> None:
    done = trials(directory, "--sort", "scoer", "-o", form)
    assert done.exit_code == 2
    assert "there is no column scoer: did you mean score?" in done.stderr
    assert done.stdout == ""


def test_names_that_are_used_twice(tmp_path: Path) -> None:
    experiment = experiment_of(
        [discrete("loss", ["1e-3"]), discrete("time", ["1"])],
        objective={"type": "minimize", "objectiveMetricName": "loss", "additionalMetricNames": ["a:b", "Trial"]},
    )  # fmt: skip
    status = succeeded(1, 0).model_copy(update={"metrics": {"loss": 2.0, "a:b": 3.0, "Trial": 4.0}})
    run = record_run(tmp_path / "run", experiment, [{"loss": "1e-3", "time": "1"}], [status])
    assert trials(run).stdout.splitlines()[0].split() == [
        "Trial", "State", "metrics.loss", "parameters.loss", "parameters.time", "a:b", "metrics.Trial", "Time", "Memory",
    ]  # fmt: skip
    chosen = trials(
        run, "--columns", 'loss, parameters.loss, time, duration_seconds, "a:b", loss', "-o", "csv"
    )
    assert chosen.stdout.splitlines() == [
        "metrics.loss,parameters.loss,parameters.time,duration_seconds,metrics.a:b", "2.0,0.001,1,2.0,3.0"
    ]  # fmt: skip


def test_columns_are_chosen(directory: Path) -> None:
    done = trials(directory, "--columns", "trial, score,Memory,node", "-n", "1")
    assert done.stdout == "Trial  score  Memory  Node\n    1    0.5     1Mi  local\n"
    table = list(
        csv.reader(
            io.StringIO(trials(directory, "--columns", "trial,score,time", "-o", "csv").stdout)
        )
    )
    assert table[0] == ["number", "metrics.score", "duration_seconds"]
    assert table[2] == ["2", "5.607961234567e-05", "50.0"]
    data = trials(directory, "--columns", "score,trial", "-o", "parquet").stdout_bytes
    assert pq.read_table(io.BytesIO(data)).column_names == ["metrics.score", "number"]


def test_data_is_exact_and_complete(directory: Path) -> None:
    rows = json.loads(trials(directory, "-o", "json").stdout)
    loaded = yaml.safe_load(trials(directory, "-o", "yaml").stdout)
    for field in ("number", "state", "parameters", "metrics"):
        assert [row[field] for row in loaded] == [row[field] for row in rows]
    assert [row["number"] for row in rows] == list(SCORES)
    assert rows[0]["parameters"]["rate"] == 0.30000000000000004
    table = pq.read_table(io.BytesIO(trials(directory, "-o", "parquet").stdout_bytes))
    assert table.num_rows == len(SCORES)


def test_wide_has_every_column(directory: Path) -> None:
    head, *rows = trials(directory, "-o", "wide").stdout.splitlines()
    assert head.split() == [
        "Trial", "State", "score", "rate", "kind", "loss", "further", "Time", "Memory", "Attempt", "Retries", "Node",
        "Start", "End", "Reason", "Message",
    ]  # fmt: skip
    assert rows[3].endswith("ValueError: boom\\nmore")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-n", "0"], "-n 0: the number of trials must be at least 1"),
        (["-n", "-3"], "-n -3: the number of trials must be at least 1"),
        (["-n", "2", "-n", "3"], "-n gives two numbers"),
        (["-n", "lab", "--namespace", "lib"], "two namespaces are given: lib and lab"),
        (["--columns", "trial", "-o", "json"], "--columns is for table, wide, csv and parquet"),
        (["--columns", ","], "--columns names no column"),
        (["-o", "xml"], "'xml' is not one of 'table', 'wide', 'json', 'yaml', 'csv', 'parquet'"),
        (["--srot", "x"], "--sort"),
    ],
)
def test_wrong_choices_are_refused(directory: Path, words: list[str], text: str) -> None:
    done = trials(directory, *words)
    assert done.exit_code == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("./nope", "there is no directory ./nope"),
        ("nope/", "there is no directory nope/"),
        ("../nope", "there is no directory ../nope"),
        ("~/nope", "there is no directory ~/nope"),
        (".", ". is not a run directory"),
        ("a/b", "there is no directory a/b"),
        ("Not_A_Name", "there is no directory Not_A_Name, and no Experiment has such a name"),
        ("file.yaml", "file.yaml is a file: give the run's directory"),
        ("./file.yaml", "./file.yaml is a file: give the run's directory"),
        ("", "the name or directory of the run is empty"),
    ],
)
@pytest.mark.parametrize("command", ["trials", "best", "logs"])
def test_a_path_is_never_taken_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, target: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.yaml").write_text("")
    words = ["--trial", "1"] if command == "logs" else []
    done = CliRunner().invoke(cli, [command, target, *words])
    assert text in f"{done.exception}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", ["trials", "best"])
def test_parquet_is_refused_on_a_terminal(
    directory: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert _run([command, str(directory), "-o", "parquet"]) == 2
    assert terminal.getvalue() == ""
    assert "parquet is binary" in capsys.readouterr().err


def test_a_missing_library_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = CliRunner().invoke(cli, ["trials", "./nope", "-o", "parquet"])
    assert "pip install 'sparksweep[data]'" in str(done.exception)


@pytest.mark.parametrize("words", [["--sort", "scoer"], ["--columns", "trial,nope"]])
def test_a_run_refuses_an_unknown_column_before_it_starts(tmp_path: Path, words: list[str]) -> None:
    document = experiment_of([discrete("rate", ["1"])]).to_dict()
    document.pop("status", None)
    document["spec"]["trialTemplate"]["source"] = {
        "inline": "def training(rate):\n    return 1.0\n"
    }
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(document))
    done = CliRunner().invoke(run_command, [str(file), "--dir", str(tmp_path / "d"), *words])
    assert done.exit_code == 2
    assert "there is no column" in done.stderr
    assert not (tmp_path / "d").exists()


def test_a_mistyped_command_gets_the_nearest() -> None:
    done = CliRunner().invoke(cli, ["trails"])
    assert done.exit_code == 2
    assert "Did you mean 'trials'?" in done.stderr


def test_every_command_has_a_whole_sentence_in_the_help_and_its_exit_codes_in_its_own() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    assert "..." not in shown.partition("Commands:")[2]
    for name, command in cli.commands.items():
        assert command.short_help is not None, name
        assert command.short_help.endswith("."), name
        assert len(command.short_help) <= 60, name
        assert f"{command.short_help}\n" in shown, name
        assert "Exit codes:" in (command.help or ""), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_SPARKSWEEP_COMPLETE" in done.stdout


@pytest.mark.parametrize("option", ["-n", "--namespace"])
def test_a_list_of_a_namespace_points_to_kubectl(option: str) -> None:
    done = CliRunner().invoke(cli, ["list", option, "lab"])
    assert done.exit_code == 2
    assert "kubectl -n lab get experiments.sparksweep.dev" in done.stderr
    assert "--namespace" not in CliRunner().invoke(cli, ["list", "--help"]).stdout


def test_the_runs_in_a_directory_are_listed(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    runner = CliRunner()
    shown = runner.invoke(cli, ["list", str(directory.parent)])
    assert shown.stdout.splitlines()[0].split() == ["Directory", "State", "Trials", "Best", "Started", "Name"]  # fmt: skip
    assert str(directory) in shown.stdout
    (row,) = json.loads(runner.invoke(cli, ["list", str(directory), "-o", "json"]).stdout)
    assert (row["name"], row["state"], row["ended"], row["best"]) == ("recorded", "Interrupted", 5, 0.75)  # fmt: skip
    assert yaml.safe_load(runner.invoke(cli, ["list", str(directory), "-o", "yaml"]).stdout) == [
        row
    ]
    (read,) = csv.DictReader(
        io.StringIO(runner.invoke(cli, ["list", str(directory), "-o", "csv"]).stdout)
    )
    assert read["best"] == "0.75"
    data = runner.invoke(cli, ["list", str(directory), "-o", "parquet"]).stdout_bytes
    assert pq.read_table(io.BytesIO(data)).to_pylist() == [row]
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(cli, ["list"]).stderr == "There are no runs in runs.\n"
