"""Text of users and trials in every command and view: shown as it is, and harmless."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparksweep import Experiment as PythonExperiment
from sparksweep._html import experiment_html, result_html
from sparksweep._local import runner
from sparksweep._progress import Progress
from sparksweep._text import block, log_line, one_line, without_sequences
from sparksweep.cli import _run
from sparksweep.cli.displays import describe
from sparksweep_core.api import (
    BestTrial,
    Condition,
    ConditionType,
    Experiment,
    ExperimentStatus,
    Trial,
    TrialCounts,
    TrialSpec,
    TrialState,
)
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.contract.environment import PROJECT_PATH_ENV
from support.sdk.commands import sparksweep
from support.sdk.nasty_text import NASTY, forbidden
from support.sdk.run_directories import START, experiment_of, record_run, succeeded

NUMBERS = range(1, len(NASTY) + 1)
FAILED = [number for number in NUMBERS if number % 3 == 0]
RUNNING = [number for number in NUMBERS if number % 3 == 1]


def experiment() -> Experiment:
    """Return an Experiment whose every text that may be nasty is."""
    parameter = {"name": "n_asty", "parameterType": "categorical", "feasibleSpace": {"list": list(NASTY)}}  # fmt: skip
    found = experiment_of(
        [parameter],
        name="nasty",
        objective={
            "type": "maximize",
            "objectiveMetricName": "a/b@c:d|e",
            "additionalMetricNames": ["smile:cat:"],
        },
        trialTemplate={
            "function": "train:training",
            "source": {"inline": "def training(n_asty):\n    return 1.0\n"},
        },
    )
    message = "\n".join(NASTY)
    conditions = [
        Condition.model_construct(
            type=ConditionType.COMPLETE, status="True", reason="Done", message=message, last_transition_time=START
        )
    ]  # fmt: skip
    best = BestTrial(
        number=2,
        attempt=1,
        objective=0.123456789,
        parameters={"n_asty": NASTY[1]},
        metrics={"a/b@c:d|e": 0.123456789},
    )
    counts = TrialCounts(expected=len(NASTY), created=len(NASTY), succeeded=len(NASTY))
    status = ExperimentStatus(conditions=conditions, trials=counts, best_trial=best)
    return found.model_copy(update={"status": status})


def trials() -> list[Trial]:
    """Return a trial for each text: a third succeeded, failed with it as the message, runs and reports."""
    found = []
    for number, text in zip(NUMBERS, NASTY, strict=True):
        status = succeeded(number, 0.5).model_copy(
            update={"metrics": {"a/b@c:d|e": 0.5, "smile:cat:": 1e-05, "other": 1.0}}
        )
        if number in FAILED:
            update: dict[str, Any] = {"state": TrialState.FAILED, "reason": "Exception", "message": f"E: {text}"}  # fmt: skip
            status = status.model_copy(update=update)
        if number in RUNNING:
            report = ReportedMetrics.model_construct(step=1, metrics={text: 0.5})
            update = {"state": TrialState.RUNNING, "reported": report, "metrics": {}}
            status = status.model_copy(update=update)
        found.append(Trial(TrialSpec(number=number, parameters={"n_asty": text}), status))
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a run directory with a nasty name, trials with nasty values and messages, and nasty logs."""
    path = tmp_path_factory.mktemp("runs") / "d[/red]\x1b[35mx\n\u202e"
    items = trials()
    statuses = [item.status.model_copy(update={"reported": None}) for item in items]
    points = [item.spec.parameters for item in items]
    record_run(path, experiment(), points, statuses)
    log = "".join(f"{text}\n" for text in NASTY).encode() + b"\xff\xfe\x80bytes\n"
    (path / "trials" / "0002" / "stdout.log").write_bytes(log)
    return path


def nasty_path(directory: Path) -> Path:
    """Return the path of a file, whose directory exists."""
    path = directory / "d[/red]\x1b[35m.yaml"
    path.parent.mkdir()
    return path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Shown = tuple[int, str]
Shell = Callable[..., Shown]


@pytest.fixture(params=["pipe", "terminal"])
def shell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a function that runs a command, and returns its exit code and all that it printed."""
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("TERM", "xterm-256color")
    # `run` sets it for the rest of its process, which is that of all tests here.
    monkeypatch.setenv(PROJECT_PATH_ENV, "/projects/demo")

    def run(*arguments: object) -> Shown:
        stream = Terminal() if request.param == "terminal" else io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            code = _run([str(argument) for argument in arguments])
        shown = stream.getvalue()
        # Data for programs is exact, unless it goes to a terminal.
        if request.param == "terminal" or not {"render", "csv", "yaml"} & set(arguments):
            assert forbidden(shown, terminal=request.param == "terminal") == []
        return code, shown

    run.__dict__["terminal"] = request.param == "terminal"
    return run


def assert_all_visible(shown: str, texts: Sequence[str] = NASTY) -> None:
    plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown)
    assert [text for text in texts if one_line(text) not in plain] == []


def test_there_are_enough_of_them() -> None:
    assert len(set(NASTY)) == len(NASTY) >= 30


@pytest.mark.parametrize("form", ["table", "wide"])
def test_tables_show_every_value_as_it_is(shell: Shell, recorded: Path, form: str) -> None:
    code, shown = shell("trials", recorded, "-o", form)
    assert code == 0
    assert "\t" not in shown
    if not shell.__dict__["terminal"]:
        assert_all_visible(shown)
        # One line for each trial, below the titles.
        assert len(shown.splitlines()) == len(NASTY) + 1
        for number in FAILED:
            assert f"Exception: {block(f'E: {NASTY[number - 1]}').splitlines()[0]}" in shown


@pytest.mark.parametrize("width", ["10", "40", "80", "120"])
def test_tables_have_a_line_a_trial_at_every_width(
    shell: Shell, recorded: Path, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    shown = shell("trials", recorded)[1]
    # On a terminal a note may name the columns that are left out.
    notes = [line for line in shown.splitlines() if line.startswith(f"{width} columns are too few")]
    assert len(shown.splitlines()) == len(NASTY) + 1 + len(notes)
    assert not notes or shell.__dict__["terminal"]


def test_documents_hold_every_value_exactly(shell: Shell, recorded: Path) -> None:
    rows = json.loads(shell("trials", recorded, "-o", "json")[1])
    assert [row["parameters"]["n_asty"] for row in rows] == list(NASTY)
    if not shell.__dict__["terminal"]:
        csv = shell("trials", recorded, "-o", "csv", "--columns", "trial,state")[1]
        assert len(csv.splitlines()) == len(NASTY) + 1
    shell("best", recorded, "-o", "yaml")
    shell("trials", recorded, "--sort", "n_asty", "-n", "3")


def test_data_in_a_file_is_exact(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    import csv

    for form in ("csv", "yaml"):
        with monkeypatch.context() as patch:
            file = (tmp_path / form).open("w", encoding="ascii", newline="")
            patch.setattr(sys, "stdout", file)
            assert _run(["trials", str(recorded), "-o", form]) == 0
            file.close()
    with (tmp_path / "csv").open(encoding="utf-8", newline="") as written:
        rows = list(csv.DictReader(written))
    assert [row["parameters.n_asty"] for row in rows] == list(NASTY)
    loaded = yaml.safe_load((tmp_path / "yaml").read_text(encoding="utf-8"))
    assert [row["parameters"]["n_asty"] for row in loaded] == list(NASTY)


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml"])
def test_the_best_trial(shell: Shell, recorded: Path, form: str) -> None:
    assert shell("best", recorded, "-o", form)[0] == 0


def test_logs_show_the_words_without_the_sequences(shell: Shell, recorded: Path) -> None:
    code, shown = shell("logs", recorded, "--trial", "2")
    assert code == 0
    for text in NASTY:
        for part in re.split("[\r\n\b]+", without_sequences(text)):
            assert "\t".join(map(one_line, part.split("\t"))).replace("\t", "") in shown.replace(
                "\t", ""
            )
    assert "\\xff\\xfe\\x80bytes" in shown
    assert shell("logs", recorded, "--trial", "3")[0] == 1


@pytest.mark.parametrize("text", [*NASTY, "\udcff"])
def test_errors_show_wrong_arguments(shell: Shell, tmp_path: Path, text: str) -> None:
    for arguments in (
        ["trials", f"./{text}"],
        ["trials", f"./{text}", "-n", "lab"],
        ["best", f"x/{text}"],
        ["logs", f"x/{text}", "--trial", "1"],
        ["validate", f"x{text}"],
        ["run", f"x{text}"],
        ["render", "--trials", text],
        [f"x{text}"],
        ["trials", ".", "-o", text],
        ["trials", ".", f"--x{text}"],
        ["completion", text],
        ["tensorboard", f"./{text}"],
        ["logs", ".", "--trial", text],
    ):
        # No argument of a process holds a null.
        code = shell(*(argument.replace("\0", "") for argument in arguments))[0]
        assert code == 2 or text == "--help"


def test_an_unknown_column(shell: Shell, recorded: Path) -> None:
    for text in NASTY:
        code, shown = shell("trials", recorded, "--sort", f"x{text}")
        assert code == 2
        assert "there is no column x" in shown
        assert shell("trials", recorded, "--columns", f"x{text}")[0] == 2


def test_findings_and_their_paths(shell: Shell, tmp_path: Path) -> None:
    document = experiment().to_dict()
    del document["status"]
    for text in NASTY:
        document["spec"][text] = 1
    document["spec"]["parameters"][0]["name"] = NASTY[0]
    document["metadata"]["name"] = "\x1b[35mx"
    file = nasty_path(tmp_path)
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    for command in ("validate", "render", "run"):
        code, shown = shell(command, file)
        assert code == 2
        assert_all_visible(shown, [text for text in NASTY if "\n" not in text and "\r" not in text])


def test_a_valid_file(shell: Shell, tmp_path: Path) -> None:
    document = experiment().to_dict()
    del document["status"]
    document["metadata"]["annotations"] = {"a": "\n".join(NASTY[:9])}
    file = nasty_path(tmp_path)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert shell("validate", file)[0] == 0
    code, shown = shell("render", file, "--trials", "3")
    assert code == 0
    if not shell.__dict__["terminal"]:
        assert len(list(yaml.safe_load_all(shown))) == 2


class Replayed:
    """A local run that reports its trials without running them."""

    def __init__(self, document: Experiment, directory: Any, *, observer: Any, **_: object) -> None:
        self.trials = trials()
        self._ended = document.model_copy(update={"status": experiment().status})
        self._observer = observer

    def interrupt(self, by: str) -> None: ...

    def run(self) -> Experiment:
        for text in NASTY:
            self._observer.phase(text)
            self._observer.note(text)
        self._observer.status_changed(self._ended)
        for trial in self.trials:
            self._observer.trial_changed(trial)
            self._observer.trial_reported(trial)
        if draw := getattr(self._observer, "draw", None):
            assert len(draw(80)) > 10
        return self._ended


def test_a_run_with_its_live_or_plain_display(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = experiment().to_dict()
    del document["status"]
    file = nasty_path(tmp_path)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    # No Spark is started for it.
    monkeypatch.setattr(sys.modules["sparksweep.cli.run"], "running_java", lambda *_: nullcontext())
    monkeypatch.setattr(runner, "LocalRun", Replayed)
    code, shown = shell("run", file, "--dir", tmp_path / "d[/red]\x1b[35mx", "--sort", "objective")
    assert code == 0
    assert_all_visible(shown, NASTY[:9])
    assert "Logs and results: " in shown


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "csv"])
def test_the_list_of_runs(shell: Shell, recorded: Path, form: str) -> None:
    code, shown = shell("list", recorded, "-o", form)
    assert code == 0
    if form in ("table", "wide"):
        assert one_line(str(recorded)) in shown
    assert shell("list", "x[/red]\x1b[35m")[0] == 2


@pytest.mark.spark
def test_trials_that_fail_with_markup_end_no_run(tmp_path: Path) -> None:
    source = """
def training(kind):
    print(kind)
    raise FileNotFoundError(f"no file [/data/train.csv] here: {kind}")
"""
    texts = [text for text in NASTY if "\0" not in text]
    parameter = {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": texts}}
    document = experiment_of(
        [parameter],
        algorithm={"algorithmName": "grid"},
        maxTrialCount=len(texts),
        maxFailedTrialCount=len(texts),
        parallelTrialCount=2,
        trialTemplate={"function": "train:training", "source": {"inline": source}},
    ).to_dict()
    file = nasty_path(tmp_path)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    directory = tmp_path / "e[/red]x"
    done = sparksweep("run", file, "--dir", directory)
    assert done.code == 1, done.stderr
    assert forbidden(done.stdout + done.stderr) == []
    assert "FileNotFoundError: no file [/data/train.csv] here: [/red]" in done.stdout
    shown = sparksweep("trials", directory)
    assert shown.code == 0, shown.stderr
    rows = shown.stdout.splitlines()[1:]
    assert rows
    for row, text in zip(rows, texts, strict=False):
        assert one_line(text) in row


def test_a_line_about_each_trial() -> None:
    for trial in trials():
        line = one_line(describe(trial, experiment()))
        assert forbidden(line) == []
        assert one_line(trial.spec.parameters["n_asty"]) in line


class Read(HTMLParser):
    """Collects the text of HTML, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_html_of_notebooks() -> None:
    for shown in (
        result_html(experiment(), trials()[:20]),
        result_html(experiment(), trials()[-20:]),
        experiment_html(experiment(), "\n".join(NASTY)),
    ):
        assert forbidden(shown) == []
        read = Read(shown)
        assert read.tags <= {"b", "table", "tr", "th", "td", "br", "p", "code"}
        assert shown.count("mathjax_ignore") == shown.count("<table") + shown.count("<b ")
    assert all(one_line(text) in Read(result_html(experiment(), trials()[:20])).text for text in NASTY[:20])  # fmt: skip


def test_lines_and_bars_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = experiment().model_copy(update={"status": None})
    for text in NASTY:
        with Progress(text, shown=True) as progress:
            progress.show(waiting, text)
        shown = capsys.readouterr().err
        assert forbidden(shown) == []
        assert shown == f"{one_line(text)}: {one_line(text)}\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = experiment().model_copy(update={"status": None})
    for text in NASTY:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress(text, shown=True) as progress:
            progress.show(waiting, text)
            progress.show(experiment(), text)
        assert forbidden(stream.getvalue(), terminal=True) == []


def test_representations() -> None:
    python = PythonExperiment("train:training", {"x": list(NASTY)}, name="nasty", objective="loss")
    assert forbidden(repr(python)) == []
    assert forbidden(python._repr_html_()) == []


def test_a_line_of_a_log_is_never_lost() -> None:
    assert log_line(b"\x1b[1m50%\x1b[0m\r\x1b[K100%\r\n") == b"50%\n100%\n"
    assert log_line(b"plain\n") == b"plain\n"
    assert log_line(b"\r\n") == b"\n"
    assert log_line("größe\t1".encode()) == "größe\t1".encode()
    assert log_line(b"\x1b]0;never ended\n") == b"\\x1b]0;never ended\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe", "größe"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x85\xad\x9b", "\\x85\\xad\\x9b"),
        ("\u202e\u2066\ufeff", "\\u202e\\u2066\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("\u3164", "\\u3164"),
        ("👩\u200d👧 x\u200cy", "👩\u200d👧 x\u200cy"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(
    st.text(st.characters(), max_size=50) | st.text("\x1b[]0;m\x07\\\r\n\t\b\x9b?h", max_size=30)
)
def test_any_text_is_harmless(text: str) -> None:
    assert forbidden(one_line(text).replace("\u200c", "")) == []
    assert "\n" not in one_line(text)
    assert forbidden(block(text).replace("\u200c", "")) == []
    data = text.encode(errors="replace")
    shown = log_line(data)
    assert forbidden(shown.decode().replace("\u200c", "")) == []
    assert shown.endswith(b"\n") == data.endswith(b"\n")


@given(st.binary(max_size=50))
def test_any_bytes_of_a_log_are_harmless(data: bytes) -> None:
    assert forbidden(log_line(data).decode().replace("\u200c", "")) == []
