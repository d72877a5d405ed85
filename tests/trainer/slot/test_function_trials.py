"""Surroundings of a function when it is called: its arguments, its directory, its environment, its module."""

import json
from pathlib import Path

import pytest

from sparksweep_core.api import TrialReason, TrialState
from sparksweep_core.api.environment import EnvVar
from support.trainer.trial_rig import Rig


def test_arguments_have_their_parameters_types(tmp_path: Path) -> None:
    source = """
        def training(rate, layers, optimizer, epochs=3, **rest):
            print([type(x).__name__ for x in (rate, layers, optimizer, epochs)], rest)
            return 0.5
    """
    kinds = {"rate": float, "layers": int, "optimizer": str, "extra": int}
    with Rig(tmp_path, source, parameters=kinds) as rig:
        rig.metrics(rate="1", layers="2", optimizer="3", extra="4")
        assert rig.log() == "['float', 'int', 'str', 'int'] {'extra': 4}\n"


def test_a_trial_knows_itself_and_starts_in_its_own_directory(tmp_path: Path) -> None:
    source = """
        import json, os
        from pathlib import Path
        from sparksweep import context, tensorboard

        def training(x):
            values = [context.trial_number(), context.attempt(), context.parameters(), str(tensorboard.logdir())]
            Path("values.json").write_text(json.dumps(values))
            assert context.trial_directory() == Path.cwd()
            assert os.environ["MINE"] == "yes"
            return 0.5
    """
    with Rig(
        tmp_path, source, parameters={"x": float}, env=[EnvVar(name="MINE", value="yes")]
    ) as rig:
        rig.metrics(number=3, attempt=2, x="0.25")
        values = json.loads((rig.trials / "0003" / "values.json").read_text())
        assert values == [3, 2, {"x": 0.25}, str(rig.trials / "0003" / "tensorboard")]


def test_output_of_every_kind_is_in_the_log_as_it_comes(tmp_path: Path) -> None:
    source = """
        import os, subprocess, sys, time

        def training():
            print("größer")
            os.write(1, b"descriptor\\n")
            subprocess.run(["echo", "child"])
            print("no newline, at once", end="")
            print("error", file=sys.stderr)
            time.sleep(60)
    """
    with Rig(tmp_path, source, termination_grace_period_seconds=0) as rig:
        rig.run_and_meanwhile(lambda stop: stop.set(), once=lambda: rig.log("stderr") == "error\n")
        assert rig.log() == "größer\ndescriptor\nchild\nno newline, at once"


def test_the_logs_of_a_failed_attempt_are_kept_beside_the_next_ones(tmp_path: Path) -> None:
    source = """
        from sparksweep import context

        def training():
            print("attempt", context.attempt())
            return 0.5
    """
    with Rig(tmp_path, source) as rig:
        for attempt in (1, 2, 3):
            rig.run(attempt=attempt)
        logs = sorted(path.name for path in (rig.trials / "0001").glob("stdout*"))
        assert logs == ["stdout.attempt-1.log", "stdout.attempt-2.log", "stdout.log"]
        assert rig.log() == "attempt 3\n"


def test_a_module_beside_the_experiment_is_found_although_a_library_has_its_name(
    tmp_path: Path,
) -> None:
    # The fork server has imported the standard library's.
    with Rig(tmp_path, None, function="json:training") as rig:
        (rig.home / "json.py").write_text("def training(): return 0.75")
        assert rig.metrics() == {"score": 0.75}


def test_a_changed_module_is_imported_anew_by_the_next_trial(tmp_path: Path) -> None:
    with Rig(tmp_path, None, function="train:training") as rig:
        module = rig.home / "train.py"
        module.write_text("def training(): return 0.25")
        assert rig.metrics() == {"score": 0.25}
        module.write_text("def training(): return 0.125")
        assert rig.metrics() == {"score": 0.125}


def test_what_a_function_registers_for_its_exit_is_run(tmp_path: Path) -> None:
    source = """
        import atexit

        def training():
            atexit.register(print, "goodbye")
            return 0.5
    """
    with Rig(tmp_path, source) as rig:
        rig.metrics()
        assert rig.log() == "goodbye\n"


def test_what_is_left_out_of_a_returned_dictionary_is_in_the_message_and_in_the_log(
    tmp_path: Path,
) -> None:
    source = """
        def training():
            named = {"val acc": 1, "metrics/mAP50-95(B)": 2, "pr\\u00e9cision": 3, "history": [1]}
            return {"score": 0.5, **named, **{f"m{n}": n for n in range(40)}}
    """
    with Rig(tmp_path, source) as rig:
        outcome = rig.run()
        assert outcome.state is TrialState.SUCCEEDED
        assert len(outcome.metrics) == 32
        assert list(outcome.metrics)[:4] == [
            "score",
            "val acc",
            "metrics/mAP50-95(B)",
            "pr\u00e9cision",
        ]
        assert outcome.message.startswith(
            "left out: history (not a number: list [1]), m28 (more than 32)"
        )
        assert outcome.message.endswith(", and 7 more")
        assert rig.log("stderr") == f"[sparksweep: {outcome.message}]\n"


def test_a_pool_of_processes_works_in_a_trial(tmp_path: Path) -> None:
    source = """
        import multiprocessing

        def square(x):
            return x * x

        def training():
            with multiprocessing.get_context("fork").Pool(2) as pool:
                return sum(pool.map(square, range(4)))
    """
    with Rig(tmp_path, source) as rig:
        assert rig.metrics() == {"score": 14.0}


def test_a_trial_whose_directory_can_not_be_made_has_not_started(tmp_path: Path) -> None:
    with Rig(tmp_path, "def training(): return 0.5") as rig:
        rig.trials.write_text("a file")
        outcome = rig.run()
        assert outcome.reason == TrialReason.START_FAILED
        assert str(rig.trials) in outcome.message


# ---------------------------------------------------------------------- the check


@pytest.mark.parametrize(
    "source",
    [
        "def training(rate, layers): return 0.5",
        "def training(layers, rate, epochs=3, *, seed=7): return 0.5",
        "def training(**parameters): return 0.5",
        "training = lambda rate, layers: 0.5",
        "import functools\ndef f(rate, layers, scale): return 0.5\ntraining = functools.partial(f, scale=2)",
        "class Training:\n    def __call__(self, rate, layers): return 0.5\ntraining = Training()",
    ],
)
def test_a_function_that_can_take_the_parameters_is_accepted_and_not_called(
    tmp_path: Path, source: str
) -> None:
    with Rig(tmp_path, None, parameters={"rate": float, "layers": int}) as rig:
        (rig.home / "train.py").write_text(source.replace("return 0.5", "open('called', 'w')"))
        assert rig.runner.check() is None
        assert list(tmp_path.rglob("called")) == []
        assert rig.left == []


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("def training(rate): return 0.5", ["takes no argument 'layers'", "it takes rate"]),
        ("def training(rte, layers): return 0.5", ["'rate'", "did you mean 'rte'?"]),
        ("def training(rate, layers, depth): return 0.5", ["needs the argument 'depth'", "rate, layers"]),
        ("def trainign(rate, layers): return 0.5", ["train has no function 'training'", "it has trainign", "did you mean 'trainign'?"]),
        ("x = 1", ["train has no function 'training'", "it has none"]),
        ("class training: pass", ["is a class"]),
        ("training = 0.5", ["of type float"]),
        ("async def training(rate, layers): return 0.5", ["coroutine"]),
        ("def training(rate, layers): yield 0.5", ["generator"]),
        ("import absent_library", ["train can't be imported", "No module named 'absent_library'"]),
        ("def training(:", ["train can't be imported", "SyntaxError"]),
        ("import sys; sys.exit(3)", ["train can't be imported", "SystemExit: 3"]),
        ("import os; os._exit(3)", ["can't be imported", "exit code 3"]),
        ("import ctypes; ctypes.string_at(0)", ["can't be imported", "SIGSEGV"]),
        ("import time; time.sleep(60)", ["can't be imported", "longer than 1 s"]),
    ],
)  # fmt: skip
def test_a_function_that_can_not_run_is_refused_and_why(
    tmp_path: Path, source: str, texts: list[str]
) -> None:
    kinds = {"rate": float, "layers": int}
    with Rig(tmp_path, source, parameters=kinds, timeout_seconds=1) as rig:
        refusal = rig.runner.check()
        assert refusal is not None
        for text in texts:
            assert text in refusal
        # A crash shows every frame there is; an exception the user's alone.
        assert "SIGSEGV" in refusal or "sparksweep_trainer" not in refusal


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ("import os\n\nimport absent_library", "ModuleNotFoundError: No module named 'absent_library' (train.py, line 3)"),
        ("x = (\ndef f(): pass", "SyntaxError: '(' was never closed (train.py, line 1)"),
        ("def f():\n    raise ValueError('a\\nb')\nf()", "ValueError: a (train.py, line 2)\nb"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (train.py, line 2)"),
        ("raise ImportError", "ImportError (train.py, line 1)"),
    ],
)  # fmt: skip
def test_an_import_that_fails_is_named_by_the_users_file_and_line(
    tmp_path: Path, source: str, refusal: str
) -> None:
    with Rig(tmp_path, source) as rig:
        assert rig.runner.check() == f"train can't be imported: {refusal}"


def test_an_import_that_fails_in_a_library_names_both_lines(tmp_path: Path) -> None:
    with Rig(tmp_path, "import json\njson.loads('{')") as rig:
        refusal = rig.runner.check() or ""
        assert "(train.py, line 2; raised in " in refusal
        assert "json/decoder.py, line " in refusal
        assert "\n" not in refusal


def test_a_failed_trial_names_the_users_file_and_no_inner_path(tmp_path: Path) -> None:
    with Rig(tmp_path, "def training():\n    raise ValueError('x')") as rig:
        message = rig.run().message
        assert 'File "train.py", line 2, in training' in message
        assert "sparksweep-slot" not in message


def test_a_module_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with Rig(tmp_path, None, function="absent_module:training") as rig:
        assert "No module named 'absent_module'" in (rig.runner.check() or "")
