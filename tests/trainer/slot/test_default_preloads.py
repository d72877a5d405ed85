"""Default preloads: what the function's code imports and is safe to fork, found without running the code."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from sparksweep_core.api import TrialState, TrialTemplate
from sparksweep_trainer.slot.default_preloads import default_preloads
from sparksweep_trainer.slot.import_scan import MAX_MODULES
from sparksweep_trainer.slot.preloadable import PRELOADABLE, preloadable
from support.trainer.trial_rig import Rig


def found(
    directory: Path,
    files: Mapping[str, str],
    *,
    function: str = "train:training",
    preload: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the default preloads of a function in a directory with these files."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    template = TrialTemplate(function=function, preload=preload)
    return default_preloads(
        template,
        paths=[str(directory)],
        environment={"HOME": str(directory), **(environment or {})},
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy", ["numpy"]),
        ("import numpy as np, json, os.path", ["numpy"]),
        ("import sklearn.datasets", ["sklearn.datasets"]),
        ("from sklearn import svm", ["sklearn", "sklearn.svm"]),
        ("from sklearn.svm import *", ["sklearn.svm"]),
        ("import scipy as sp\ndef training(x): return sp.stats.norm(x)", ["scipy", "scipy.stats"]),
        ("def training(x):\n    import pandas", ["pandas"]),
        ("async def training(x):\n    import pandas", ["pandas"]),
        ("def training(x):\n    def inner():\n        import torch\n    return inner()", ["torch"]),
        ("def training(x):\n    return helper(x)\ndef helper(x):\n    import pandas", ["pandas"]),
        ("class Model:\n    def fit(self):\n        import pandas\ndef training(x): return Model().fit()", ["pandas"]),
        ("import functools\ndef a(x):\n    import pandas\ntraining = functools.partial(a, 1)", ["pandas"]),
        ("def mark(f):\n    import pandas\n    return f\n@mark\ndef training(x): return 1", ["pandas"]),
        ("def training(x): return 1\ndef other(x):\n    import tensorflow", []),
        ("import importlib\nimportlib.import_module('pandas')", ["pandas"]),
        ("__import__('pandas')", ["pandas"]),
        ("try:\n    import torch\nexcept ImportError:\n    import numpy", ["torch", "numpy"]),
        ("if True:\n    import pandas", ["pandas"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nelse:\n    import numpy", ["numpy"]),
        ("import typing\nif typing.TYPE_CHECKING:\n    import torch", []),
        ("if __name__ == '__main__':\n    import torch", []),
        ("import tensorflow as tf\ndef training(x): return tf.keras.layers.Dense(x)", ["tensorflow", "keras"]),
        ("from tensorflow.keras import layers", ["tensorflow", "keras"]),
        ("import tensorflow.keras as keras", ["tensorflow", "keras"]),
        ("import jax, pyspark, matplotlib, transformers, mine", []),
        ("import numpyro, torchvision, sklearn_extra", []),
        ("from . import numpy", []),
        ("import numpy\nthis is no Python", []),
        ("\0", []),
        ("x = " + "-" * 3000 + "1\nimport numpy", []),
        ("", []),
        # Variables of the environment: a module may read them when it is imported.
        ("import os\nos.environ['KERAS_BACKEND'] = 'torch'\nimport keras", []),
        ("import os\ndef training(x):\n    os.environ.setdefault('A', 'b')\n    import keras", []),
        ("import os\nos.environ.update(A='b')\nimport keras", []),
        ("from os import environ\nenviron['A'] = 'b'\nimport keras", []),
        ("import os\nos.environ |= {'A': 'b'}\nimport keras", []),
        ("import os\ndel os.environ['A']\nimport keras", []),
        ("import os\nos.putenv('A', 'b')\nimport keras", []),
        ("import os\nvariables = os.environ\nimport keras", []),
        ("import dotenv, keras\ndotenv.load_dotenv()", []),
        ("import sys, keras\nsys.modules['torch'] = None", []),
        ("import os, keras\nhome = os.environ['HOME']", ["keras"]),
        ("import os, keras\nhome = os.environ.get('HOME') if 'HOME' in os.environ else ''", ["keras"]),
        ("import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\nimport keras", ["keras"]),
        ("import os\nos.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')\nimport keras", ["keras"]),
        ("import numpy\ndef training(x): return 1\ndef other():\n    import os\n    os.environ['A'] = 'b'", ["numpy"]),
    ],
)  # fmt: skip
def test_the_imports_of_the_code_that_a_trial_runs(
    tmp_path: Path, source: str, expected: list[str]
) -> None:
    assert found(tmp_path, {"train.py": source}) == expected


HELPER = "def load():\n    import sklearn.datasets\ndef unused():\n    import torch\n"


@pytest.mark.parametrize(
    ("files", "function", "expected"),
    [
        ({"train.py": "import helper\ndef training(x): helper.load()", "helper.py": HELPER}, "train:training",
         ["sklearn.datasets"]),
        ({"train.py": "from helper import load as data\ndef training(x): data()", "helper.py": HELPER},
         "train:training", ["sklearn.datasets"]),
        ({"train.py": "from helper import *\ndef training(x): load()", "helper.py": HELPER}, "train:training",
         ["sklearn.datasets"]),
        ({"train.py": "import helper\ndef training(x): 1", "helper.py": HELPER}, "train:training", []),
        ({"pack/__init__.py": "import numpy", "pack/train.py": "from .helper import load\ndef training(x): load()",
          "pack/helper.py": HELPER}, "pack.train:training", ["numpy", "sklearn.datasets"]),
        ({"pack/train.py": "from . import helper\ndef training(x): helper.load()", "pack/helper.py": HELPER},
         "pack.train:training", ["sklearn.datasets"]),
        ({"pack/sub/train.py": "from ..helper import load\ndef training(x): load()", "pack/helper.py": HELPER},
         "pack.sub.train:training", ["sklearn.datasets"]),
        ({"train.py": "import a", "a.py": "import b, train", "b.py": "import a, pandas"}, "train:training", ["pandas"]),
        ({"train.py": "import helper, numpy", "helper.py": "import os\nos.environ['A'] = 'b'"}, "train:training", []),
        # A module of the user's own may have any name.
        ({"train.py": "import keras, pandas", "keras.py": "import numpy"}, "train:training", ["numpy", "pandas"]),
        ({"train.py": "import torch.nn", "torch/nn.py": ""}, "train:training", []),
        ({"train.py": "import numpy, sparksweep.shipped", "sparksweep/shipped.py": "import os\nos.environ['A'] = 'b'"},
         "train:training", ["numpy"]),
        ({}, "train:training", []),
        ({}, "json:dumps", []),
        ({"other.py": "import numpy"}, "train:training", []),
        ({"train.py": "__imports__ = ['numpy', 'sklearn.svm', 'jax', 3]\n"}, "train:training",
         ["numpy", "sklearn.svm"]),
        ({f"m{i}.py": f"import m{i + 1}" for i in range(MAX_MODULES + 9)}, "m0:training", []),
    ],
)  # fmt: skip
def test_modules_of_the_user_are_followed(
    tmp_path: Path, files: Mapping[str, str], function: str, expected: list[str]
) -> None:
    assert found(tmp_path, files, function=function) == expected


def test_installed_packages_on_the_path_are_not_the_users(tmp_path: Path) -> None:
    libraries = {"keras/__init__.py": "import torch", "Keras-3.dist-info/METADATA": ""}
    assert found(tmp_path, {**libraries, "train.py": "import keras"}) == ["keras"]


def test_a_module_of_the_image_is_found_on_pythons_path(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/train.py").write_text("import helper")
    (tmp_path / "app/helper.py").write_text("import numpy")
    template = TrialTemplate(function="train:training")
    environment = {"PYTHONPATH": str(tmp_path / "app")}
    assert default_preloads(template, paths=[], environment=environment) == ["numpy"]


@pytest.mark.parametrize("preload", [[], ["numpy"]])
def test_a_template_that_says_what_to_preload_gets_nothing_else(
    tmp_path: Path, preload: list[str]
) -> None:
    assert found(tmp_path, {"train.py": "import pandas"}, preload=preload) == []


def test_commands_preload_nothing() -> None:
    template = TrialTemplate(command=["python", "train.py"])
    assert default_preloads(template, paths=[], environment={}) == []


@pytest.mark.parametrize(
    ("variables", "file", "is_forkable"),
    [
        ({}, None, True), ({}, "{}", True), ({}, "no JSON", True), ({}, "[]", True),
        ({}, '{"backend": "torch"}', True), ({}, '{"backend": "jax"}', False),
        ({"KERAS_BACKEND": "jax"}, None, False), ({"KERAS_BACKEND": "openvino"}, None, False),
        ({"KERAS_BACKEND": "tensorflow"}, '{"backend": "jax"}', True),
    ],
)  # fmt: skip
def test_keras_is_as_safe_as_its_backend(
    tmp_path: Path, variables: Mapping[str, str], file: str | None, is_forkable: bool
) -> None:
    if file is not None:
        (tmp_path / ".keras").mkdir()
        (tmp_path / ".keras/keras.json").write_text(file)
    environment = {"HOME": str(tmp_path), **variables}
    expected = ["keras", "keras.layers", "numpy"] if is_forkable else ["numpy"]
    assert preloadable(["keras", "keras.layers", "numpy"], environment) == expected


def test_legacy_keras_is_left_to_the_trial() -> None:
    environment = {"TF_USE_LEGACY_KERAS": "1"}
    assert preloadable(["tensorflow.keras.layers"], environment) == ["tensorflow"]


def test_nothing_is_imported_to_find_the_imports(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import tensorflow, helper, numpy\nraise SystemExit(3)\n")
    (tmp_path / "helper.py").write_text("raise SystemExit(4)\n")
    program = (
        "import sys\n"
        "from sparksweep_core.api import TrialTemplate\n"
        "import sparksweep_trainer.driver.trial_service, sparksweep_trainer.slot.runner\n"
        "from sparksweep_trainer.slot.default_preloads import default_preloads\n"
        "template = TrialTemplate(function='train:training')\n"
        f"print(default_preloads(template, paths=[{str(tmp_path)!r}], environment={{}}))\n"
        "print({'tensorflow', 'numpy', 'train', 'helper'} & set(sys.modules))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output == "['tensorflow', 'numpy']\nset()\n"


# ---------------------------------------------------------------------- in the fork server

STATE = """
    import sys

    def training():
        before = int("{module}" in sys.modules)
        import {module}
        return {{"score": 0.5, "before": before}}
"""


def _before(rig: Rig) -> float:
    assert rig.runner.check() is None
    outcome = rig.run()
    assert outcome.metrics.get("score") == 0.5, outcome
    return outcome.metrics["before"]


@pytest.mark.parametrize(
    ("preload", "expected"), [(None, True), ([], False), (["json"], False), (["pandas"], True)]
)
def test_a_module_is_imported_before_the_fork(
    tmp_path: Path, preload: list[str] | None, expected: bool
) -> None:
    with Rig(tmp_path, STATE.format(module="pandas"), preload=preload) as rig:
        assert _before(rig) == expected


def test_results_are_those_of_a_trial_that_imports_itself(tmp_path: Path) -> None:
    source = """
        def training(x):
            import numpy
            from sklearn.linear_model import Ridge
            values = numpy.random.default_rng(3).normal(size=(50, 4))
            return float(Ridge(alpha=x + 1).fit(values, values[:, 0] * 2).score(values, values[:, 1]))
    """
    scores = []
    cases: list[list[str] | None] = [None, []]
    for index, preload in enumerate(cases):
        directory = tmp_path / str(index)
        directory.mkdir()
        with Rig(directory, source, parameters={"x": float}, preload=preload) as rig:
            scores.append([rig.metrics(x=x)["score"] for x in (0.1, 0.9)])
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    "text",
    ["raise RuntimeError('no licence')", "import os; os._exit(3)", "import ctypes; ctypes.string_at(0)",
     "import sys; sys.exit(3)", "import absent_library"],
)  # fmt: skip
def test_a_broken_library_costs_the_preload_alone(tmp_path: Path, text: str) -> None:
    """The trial does not import it: nothing may fail."""
    source = """
        def training(how):
            if how == "b":
                import lightgbm
            return 0.5
    """
    libraries = tmp_path / "libraries"
    (libraries / "lightgbm-4.dist-info").mkdir(parents=True)
    (libraries / "lightgbm.py").write_text(text)
    with Rig(tmp_path, source, parameters={"how": str}) as rig:
        rig.program.search_path.append(str(libraries))
        rig.runner._trials.paths.append(str(libraries))
        assert rig.runner.check() is None
        assert rig.metrics(how="a") == {"score": 0.5}
        assert rig.run(how="b").state is TrialState.FAILED
        assert rig.metrics(how="a") == {"score": 0.5}


@pytest.mark.parametrize(
    "imported", ["import xgboost_absent, torch_absent", "from pandas import absent_name", "import pandas.absent.part"]
)  # fmt: skip
def test_missing_modules_are_passed_over(tmp_path: Path, imported: str) -> None:
    source = f"""
        import sys

        def training():
            before = int("pandas" in sys.modules)
            try:
                {imported}
            except ImportError:
                pass
            import pandas
            return {{"score": 0.5, "before": before}}
    """
    with Rig(tmp_path, source) as rig:
        assert _before(rig) == 1


@pytest.mark.parametrize("name", sorted(PRELOADABLE))
def test_the_import_starts_no_thread_that_a_fork_would_lose(name: str) -> None:
    """BLAS is told to use one thread; pyarrow's allocator starts its own thread again after a fork."""
    pytest.importorskip(name)
    program = (
        f"import os, json, {name}\n"
        "names = [open(f'/proc/self/task/{task}/comm').read() for task in os.listdir('/proc/self/task')]\n"
        "print(json.dumps([n.strip() for n in names if n.strip() != 'jemalloc_bg_thd']))"
    )
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(json.loads(output.splitlines()[-1])) == 1
