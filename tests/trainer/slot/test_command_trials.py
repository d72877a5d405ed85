"""Trials that are commands: what is executed, where, and how its end and its output are read."""

from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api import Objective, ObjectiveType, TrialReason, TrialState
from sparksweep_core.api.template import MetricsFormat
from support.trainer.trial_rig import Rig


def rig(directory: Path, *command: str, source: str | None = None, **options: Any) -> Rig:
    return Rig(directory, source, command=list(command), **options)


def shell(directory: Path, script: str, **options: Any) -> Rig:
    return rig(directory, "sh", "-c", script, **options)


def test_metrics_are_read_from_both_streams(tmp_path: Path) -> None:
    script = "echo epoch 1 score=0.25; echo epoch 2 score=0.75 loss=3; echo INFO:root:score=9 >&2"
    with shell(tmp_path, script) as runs:
        assert runs.metrics() == {"score": 9.0}
        assert runs.log("stderr") == "INFO:root:score=9\n"


def test_metrics_of_pythons_logging_are_read(tmp_path: Path) -> None:
    source = """
        import logging
        logging.basicConfig(level=logging.INFO)
        logging.info("score=0.25")
        logging.getLogger("trainer").info("{metricName: loss, metricValue: 3};score = 0.5")
    """
    with rig(tmp_path, "python", "${trialSource}", source=source) as runs:
        assert runs.metrics() == {"score": 0.5}


def test_the_other_format_reads_colons_too(tmp_path: Path) -> None:
    script = """echo "{'loss': 3, 'score': 0.25}"; echo score=0.5"""
    with shell(tmp_path, script, metrics_format=MetricsFormat.EQUALS_OR_COLON) as runs:
        assert runs.metrics() == {"score": 0.5}


def test_a_note_on_a_succeeded_trial_is_in_its_message_and_its_log(tmp_path: Path) -> None:
    with shell(tmp_path, "echo score=0.5; echo score=1,000; printf end >&2") as runs:
        outcome = runs.run()
        note = "score was also printed as '1,000', which is not a number"
        assert (outcome.state, outcome.message) == (TrialState.SUCCEEDED, note)
        assert runs.log("stderr") == f"end\n[sparksweep: {note}]\n"


def test_additional_metrics_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    objective = Objective(
        type=ObjectiveType.MINIMIZE,
        objective_metric_name="loss",
        additional_metric_names=["accuracy"],
    )
    with shell(tmp_path, "echo loss=2 accuracy=0.5; echo loss=3", objective=objective) as runs:
        assert runs.metrics() == {"loss": 2.0, "accuracy": 0.5}


def test_each_value_takes_its_placeholders_place_as_it_was_written(tmp_path: Path) -> None:
    script = 'for word; do echo "[$word]"; done; echo score=$1'
    with rig(
        tmp_path, "sh", "-c", script, "sh", "${trialParameters.x}", "${trialSpec.Name}",
        "--opt=${trialParameters.opt}", parameters={"x": float, "opt": str},
    ) as runs:  # fmt: skip
        assert runs.metrics(number=7, x="1e-3", opt="a b $HOME") == {"score": 0.001}
        name = f"{runs.program.experiment}-7"
        assert runs.log(number=7).splitlines()[:3] == ["[1e-3]", f"[{name}]", "[--opt=a b $HOME]"]


def test_inline_source_is_a_file_and_python_is_this_one(tmp_path: Path) -> None:
    source = """
        import os, sys, sparksweep
        print("score=" + sys.argv[1])
        print(os.environ["SPARKSWEEP_TRIAL_NUMBER"], os.getcwd())
    """
    with rig(tmp_path, "python", "${trialSource}", "0.5", source=source) as runs:
        assert runs.metrics() == {"score": 0.5}
        # It starts where the experiment is, not in its own directory.
        assert runs.log().splitlines()[1] == f"1 {runs.home}"
        assert (runs.trials / "0001" / "tensorboard").is_dir()


@pytest.mark.parametrize(
    ("script", "reason", "text"),
    [
        ("echo no such option >&2; exit 2", TrialReason.EXITED, "exit code 2; standard error ends with:\nno such option"),
        ("echo done", TrialReason.METRIC_MISSING, "score=<number>"),
        ("echo score=1,234.5", TrialReason.METRIC_NOT_NUMERIC, "score is not a number but '1,234.5'"),
        ("echo train/score=1", TrialReason.METRIC_MISSING, "it printed train/score=1"),
        ("echo score: 1", TrialReason.METRIC_MISSING, "metricsFormat: EqualsOrColon"),
        ("echo score=nan", TrialReason.METRIC_NAN, "score"),
        ("echo score=-inf", TrialReason.METRIC_INFINITE, "score"),
        ("kill -SEGV $$", TrialReason.SEGMENTATION_FAULT, "SIGSEGV"),
        ("kill -TERM $$", TrialReason.SIGNALLED, "SIGTERM"),
        ("exec absent-program", TrialReason.START_FAILED, "absent-program"),
        ("trap '' TERM; sleep 60; sleep 60", TrialReason.TIMED_OUT, "longer than 1 s"),
    ],
)  # fmt: skip
def test_each_bad_end_of_a_command_has_its_reason(
    tmp_path: Path, script: str, reason: TrialReason, text: str
) -> None:
    limits = {"timeout_seconds": 1, "termination_grace_period_seconds": 0}
    with shell(tmp_path, script, **limits) as runs:
        outcome = runs.run()
        assert (outcome.state, outcome.reason) == (TrialState.FAILED, reason)
        assert text in outcome.message


def test_what_a_command_leaves_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    with shell(tmp_path, "sleep 60 & setsid sleep 60 & echo score=1") as runs:
        assert runs.metrics() == {"score": 1.0}


def test_signals_are_as_a_shell_would_have_them(tmp_path: Path) -> None:
    # Python ignores SIGPIPE, and what it starts would too.
    with shell(tmp_path, "(yes; echo $? >&2) | head -1; echo score=1") as runs:
        runs.metrics()
        assert "Broken pipe" not in runs.log("stderr")


def test_a_script_that_can_not_be_executed_has_not_started(tmp_path: Path) -> None:
    with rig(tmp_path, "./train") as runs:
        script = runs.home / "train"
        script.write_text("#!/absent/interpreter\n")
        script.chmod(0o755)
        outcome = runs.run()
        assert outcome.reason == TrialReason.START_FAILED
        assert "No such file or directory" in outcome.message


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["absent-program", "x"], "no program 'absent-program'"),
        (["./absent"], "there is no file"),
        (["true"], None),
        (["${trialParameters.program}"], None),
    ],
)
def test_a_program_is_looked_for_before_any_trial(
    tmp_path: Path, command: list[str], text: str | None
) -> None:
    with rig(tmp_path, *command, parameters={"program": str}) as runs:
        refusal = runs.runner.check()
        assert refusal is None if text is None else text in (refusal or "")


def test_a_program_that_depends_on_the_trial_may_not_be_there(tmp_path: Path) -> None:
    with rig(tmp_path, "${trialParameters.program}", parameters={"program": str}) as runs:
        outcome = runs.run(program="absent-program")
        assert outcome.reason == TrialReason.START_FAILED
        assert "no program 'absent-program'" in outcome.message
