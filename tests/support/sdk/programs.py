"""Runs a program of a user as it is, and its function as a trial: in a slot's real processes, without Spark."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from sparksweep import Experiment
from sparksweep._shipping import MODULE
from sparksweep.errors import InvalidExperiment
from sparksweep_core.api.environment import EnvVar
from sparksweep_trainer.trial.arguments import bind
from support.trainer.trial_rig import Rig

_TAIL = """

if __name__ == "__main__":
    from support.sdk.programs import report

    report(training)
"""


@dataclass(frozen=True)
class Ran:
    """The end of a program."""

    direct: Any
    """The function's value when the program calls it; None if its function was refused."""
    refusal: str | None
    seconds: float
    """Duration of the check and of the pickling."""
    function: str | None
    """``module:function`` of the module in `code`."""
    code: Path


def report(function: Callable[..., object]) -> None:
    """Build an experiment of a function of one parameter, call the function, and write down both. For programs."""
    answer: dict[str, Any] = {"direct": None, "refusal": None, "function": None}
    started = time.perf_counter()
    try:
        built = Experiment(function, {"x": [3]})._built
    except InvalidExperiment as error:
        answer["refusal"] = str(error)
    answer["seconds"] = time.perf_counter() - started
    if answer["refusal"] is None:
        code = Path("..", "code")
        code.mkdir()
        template = built.experiment.spec.trial_template
        answer["function"] = template.function
        if template.source is not None and template.source.inline is not None:
            (code / f"{MODULE}.py").write_text(template.source.inline)
        for name, content in (built.code.files if built.code else {}).items():
            (code / name).write_bytes(content)
        args, kwargs = bind("training", function, {"x": 3})
        answer["direct"] = function(*args, **kwargs)
    Path("..", "answer.json").write_text(json.dumps(answer))


class Programs:
    """A process that has imported what programs need, and forks itself for each. A context manager.

    Not the tests' own process: its threads may hold locks, which a forked process would wait for.
    """

    def __enter__(self) -> Programs:
        tests = Path(__file__).parents[2]
        path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.sdk.programs"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def run(self, files: Mapping[str, str], directory: Path, *, paths: tuple[str, ...] = ()) -> Ran:
        """Run a program to its end.

        Args:
            files: The texts of the program's files; ``main.py`` is run, and defines ``training``.
            directory: An empty directory.
            paths: Folders of the program that Python searches for modules, as with PYTHONPATH.
        """
        home = directory / "program"
        for name, text in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(dedent(text) + (_TAIL if name == "main.py" else ""))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(home), paths]) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status == 0, (directory / "output").read_text()
        answer = json.loads((directory / "answer.json").read_text())
        return Ran(code=directory / "code", **answer)


def _serve() -> None:
    # Each fork would import it anew.
    importlib.import_module("sparksweep._shipping.culprits")
    for line in sys.stdin:
        home, paths = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(Path(home), paths)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _run(home: Path, paths: Sequence[str]) -> None:
    status = 1
    try:
        output = os.open(home.parent / "output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(home)
        sys.path[:0] = [str(home), *(str(home / path) for path in paths)]
        sys.argv = ["main.py"]
        # A new process has imported no module of these names: neither another test's nor Python's own.
        own = {file.stem if file.is_file() else file.name for file in home.rglob("*")}
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            del sys.modules[name]
        runpy.run_path("main.py", run_name="__main__")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def value_of_a_trial(
    program: Ran, directory: Path, *, elsewhere: bool, paths: tuple[str, ...] = ()
) -> float:
    """Run the function as a trial, and return its metric.

    Args:
        program: The program whose function it is.
        directory: The program's directory.
        elsewhere: As on a cluster, where the program's files are not.
        paths: Folders of the program that Python searches for modules, unless it runs elsewhere.
    """
    if elsewhere:
        shutil.rmtree(directory / "program")
    place = directory / "trial"
    place.mkdir()
    # As the local backend does with the places that the program searches.
    places = ":".join(str(directory / "program" / path) for path in (".", *paths))
    environment = [] if elsewhere else [EnvVar(name="PYTHONPATH", value=places)]
    with Rig(place, None, function=program.function, parameters={"x": int}, env=environment) as rig:
        shutil.copytree(program.code, rig.home, dirs_exist_ok=True)
        assert rig.runner.check() is None
        return rig.metrics(x=3)["score"]


if __name__ == "__main__":
    _serve()
