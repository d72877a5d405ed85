"""Functions of a program of its own, sent to trials of a local run through Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.spark


def shown_by(directory: Path, program: str, *, path: str = "") -> str:
    """Run a program in a directory, and return its output."""
    (directory / "main.py").write_text(dedent(program))
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=directory, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_large_data_own_modules_libraries_and_pools_work_in_trials(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(
        "import threading\nLOCK = threading.Lock()\nclass Net:\n    def __init__(self, x):\n        self.x = x\n"
    )
    for name, text in {
        "rarelib/__init__.py": "import threading\nL = threading.Lock()\ndef double(x):\n    return x * 2\n",
        "rarelib-1.0.dist-info/RECORD": "rarelib/__init__.py,,\n",
    }.items():
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_text(text)
    program = """
        import multiprocessing, pickle, random
        from concurrent.futures import ProcessPoolExecutor
        import models, rarelib
        from sparksweep import Experiment

        noise = random.Random(0).randbytes(2_000_000)

        class Job:
            def __init__(self, n):
                self.n = n

        def work(job):
            return Job(job.n + 1)

        def training(x, opt):
            assert pickle.loads(pickle.dumps(models.Net(x))).x == x
            with multiprocessing.Pool(1) as pool:
                total = sum(job.n for job in pool.map(work, [Job(1), Job(x)]))
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                total += sum(job.n for job in pool.map(work, [Job(x)]))
            return total + len(noise) + rarelib.double(x) + opt["k"]

        if __name__ == "__main__":
            experiment = Experiment(training, {"x": [1], "opt": [{"k": 1}, {"k": 2}]}, name="all")
            print(experiment.submit(directory="run").wait(progress=False).best_value, training(1, {"k": 2}))
    """
    trial, call = map(float, shown_by(tmp_path, program, path=str(tmp_path / "lib")).split())
    assert trial == call


@pytest.mark.parametrize(("preload", "expected"), [(None, 1), ([], 0)])
def test_what_a_function_imports_is_there_before_its_trials(
    tmp_path: Path, preload: list[str] | None, expected: int
) -> None:
    program = f"""
        from sparksweep import Experiment

        def training(x):
            import sys
            before = "numpy" in sys.modules
            import numpy
            return int(before) * x

        if __name__ == "__main__":
            experiment = Experiment(training, {{"x": [1]}}, name="all", preload={preload!r})
            print(experiment.submit(directory="run").wait(progress=False).best_value)
    """
    assert float(shown_by(tmp_path, program)) == expected


def test_a_function_without_its_source_that_returns_nothing_is_told_of_the_annotation(
    tmp_path: Path,
) -> None:
    program = """
        from sparksweep import experiment
        from sparksweep.errors import ExperimentFailed
        namespace = {"__name__": "__main__"}
        exec("def training(x):\\n    print(x)\\n", namespace)
        try:
            experiment.grid_search(namespace["training"], {"x": [1]}, directory="run", progress=False)
        except ExperimentFailed as error:
            print(error)
    """
    assert "annotate it with -> None" in shown_by(tmp_path, program)
