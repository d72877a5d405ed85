"""Functions pickled by value, and loaded by a process without their modules."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparksweep import Experiment
from sparksweep._functions import with_values
from sparksweep._shipping import MODULE, Shipped, installed, ship
from sparksweep.errors import InvalidExperiment
from sparksweep_core.api import TrialTemplate
from sparksweep_trainer.slot.default_preloads import default_preloads

FACTOR = 3
TABLE = bytes(range(256)) * 8000
LOCK = threading.Lock()


def _helper(x: float) -> float:
    return FACTOR * x


def write(shipped: Shipped, directory: Path) -> None:
    for file, content in shipped.files.items():
        (directory / file).write_bytes(content)


def elsewhere(shipped: Shipped, directory: Path, **arguments: Any) -> Any:
    """Call the function in another process and directory, and return its result."""
    write(shipped, directory)
    name = shipped.reference.partition(":")[2]
    program = f"import json, {MODULE}; print(json.dumps({MODULE}.{name}(**{arguments!r})))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_functions_globals_helpers_and_closure_travel_with_it(tmp_path: Path) -> None:
    offset = 0.5

    def training(x: float) -> float:
        return _helper(x) + offset

    assert elsewhere(ship(training), tmp_path, x=2) == 6.5


def test_a_lambda_has_a_name_there(tmp_path: Path) -> None:
    shipped = ship(lambda x: x + 1)
    assert shipped.reference == f"{MODULE}:function"
    assert elsewhere(shipped, tmp_path, x=2) == 3


def test_a_module_of_the_users_own_travels_and_an_installed_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "models.py").write_text(
        "import yaml\nclass Net:\n    def score(self, x):\n        return yaml.safe_load(str(x)) * 2\n"
    )
    (here / "mytraining.py").write_text(
        "import models\ndef training(x):\n    return models.Net().score(x)\n"
    )
    monkeypatch.syspath_prepend(str(here))
    import mytraining  # type: ignore[import-not-found]

    shipped = ship(mytraining.training)
    assert elsewhere(shipped, there, x=4) == 8


def _preloads(shipped: Shipped, directory: Path) -> list[str]:
    write(shipped, directory)
    template = TrialTemplate(function=shipped.reference)
    return default_preloads(template, paths=[str(directory)], environment={"HOME": str(directory)})


def _imports_inside(x: float) -> object:
    import tensorflow as tf
    from sklearn import svm

    return tf.keras.layers.Dense, svm


def _sets_a_variable(x: float) -> object:
    import os

    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    return keras


def test_what_a_shipped_function_imports_is_listed_in_its_text(tmp_path: Path) -> None:
    from sklearn.svm import SVC

    model = SVC()
    cases: list[tuple[Any, set[str]]] = [
        (lambda x: np.mean(x), {"numpy"}),
        (lambda x: model.fit(x), {"sklearn.svm._classes"}),
        (lambda x: SVC(x), {"sklearn.svm._classes"}),
        (_imports_inside, {"tensorflow", "keras", "sklearn", "sklearn.svm"}),
        (functools.partial(_imports_inside, 1), {"tensorflow", "keras", "sklearn", "sklearn.svm"}),
        (lambda x: _imports_inside(x), {"tensorflow", "keras", "sklearn", "sklearn.svm"}),
        (lambda x: json.dumps(x), set()),
        (_sets_a_variable, set()),
    ]
    for index, (function, expected) in enumerate(cases):
        directory = tmp_path / str(index)
        directory.mkdir()
        assert set(_preloads(ship(function), directory)) == expected, index


def test_imports_of_a_shipped_module_are_listed_as_far_as_the_function_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "listed_data.py").write_text(
        "import numpy\ndef load():\n    import pandas\ndef other():\n    import tensorflow\n"
    )
    (here / "listed_training.py").write_text(
        "import listed_data\ndef training(x):\n    return listed_data.load()\n"
    )
    monkeypatch.syspath_prepend(str(here))
    import listed_training  # type: ignore[import-not-found]

    assert set(_preloads(ship(listed_training.training), there)) == {"numpy", "pandas"}


def test_values_that_text_can_not_hold_come_back_before_the_function_sees_them(
    tmp_path: Path,
) -> None:
    def training(x: Any, /, *, flag: Any, **rest: Any) -> list[Any]:
        return [x, flag, rest["optimizer"]]

    values: dict[str, dict[str, object]] = {
        "x": {"(1, 2)": (1, 2)},
        "flag": {"True": True},
        "optimizer": {"None": None},
    }
    wrapped = with_values(training, values)
    assert wrapped("(1, 2)", flag="True", optimizer="None") == [(1, 2), True, None]
    write(ship(wrapped), tmp_path)
    program = f"import {MODULE}; print({MODULE}.training('(1, 2)', flag='True', optimizer='None'))"
    shown = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert shown.strip() == "[(1, 2), True, None]"


def test_another_python_is_told_apart_before_it_reads_anything(tmp_path: Path) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    source = (ship(_helper).source or "").replace(f'python="{here}"', 'python="3.7"')
    (tmp_path / f"{MODULE}.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", f"import {MODULE}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "was pickled by Python 3.7 and can't be loaded by Python" in done.stderr
    assert "use an image with Python 3.7" in done.stderr


def test_a_module_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "rarelib.py").write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(library))
    others = list(installed._installed_paths())
    monkeypatch.setattr(installed, "_installed_paths", lambda: iter([str(library), *others]))
    import rarelib  # type: ignore[import-not-found]

    f = rarelib.f

    def training(x: int) -> int:
        return int(f(x))

    # By reference, as what is installed is.
    write(ship(training), tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"import {MODULE}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "needs the module rarelib, which is not installed where the trials run" in done.stderr


def test_what_can_not_be_pickled_is_named() -> None:
    def training(x: int) -> int:
        with LOCK:
            return x

    with pytest.raises(
        InvalidExperiment, match=r"training can't be pickled because of LOCK.*inside the function"
    ):
        ship(training)


def test_what_is_too_large_for_a_cluster_is_refused_there_with_what_makes_it_so() -> None:
    import random

    noise = random.Random(0).randbytes(8_000_000)

    def training(x: int) -> int:
        return noise[x] + TABLE[x]

    experiment = Experiment(training, {"x": [1, 2]})
    refusal = r"training takes 10.0 MB .*it uses noise \(8.0 MB\), TABLE \(2.0 MB\): load data inside the function"
    with pytest.raises(InvalidExperiment, match=refusal):
        experiment.to_yaml()
    with pytest.raises(InvalidExperiment, match=refusal):
        experiment.to_dict()


def test_what_is_too_large_for_a_cluster_is_a_file_of_a_local_run(tmp_path: Path) -> None:
    import random

    noise = random.Random(0).randbytes(3_000_000)

    def training(x: int) -> int:
        return noise[x] + len(noise)

    shipped = ship(training)
    assert shipped.source is None
    assert sorted(shipped.files) == [f"{MODULE}.pickle", f"{MODULE}.py"]
    assert elsewhere(shipped, tmp_path, x=7) == noise[7] + 3_000_000


def test_what_compresses_well_fits_a_document_whatever_its_size() -> None:
    zeros = bytes(20_000_000)

    def training(x: int) -> int:
        return zeros[x]

    assert len(ship(training).source or "") < 256 * 1024


def test_text_of_an_earlier_version_is_still_loaded(tmp_path: Path) -> None:
    import base64
    import zlib

    import cloudpickle

    pickled = base64.b64encode(zlib.compress(cloudpickle.dumps(lambda x: x + 1))).decode()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / f"{MODULE}.py").write_text(
        "from sparksweep.shipped import load\n\n"
        f'function = load(name="f", python="{here}", pickled="""\n{pickled}\n""")\n'
    )
    program = f"import {MODULE}; print({MODULE}.function(x=2))"
    shown = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert shown.strip() == "3"


def test_cloudpickle_is_left_as_it_was() -> None:
    import cloudpickle

    before = set(cloudpickle.list_registry_pickle_by_value())
    ship(_helper)
    assert set(cloudpickle.list_registry_pickle_by_value()) == before


def test_the_members_of_an_enum_are_not_changed_attributes() -> None:
    import ast
    import types

    from sparksweep._shipping.changes import Edits, changed_values

    source = "import enum\nclass Part(enum.Enum):\n    A = 1\nclass Plain:\n    A = 1\n"
    module = types.ModuleType("parts")
    exec(source, module.__dict__)
    assert changed_values(module, ast.parse(source), Edits.of([]), Edits.of([])) == {}
    module.Plain.A = 2
    assert changed_values(module, ast.parse(source), Edits.of([]), Edits.of([])) == {"Plain.A": 2}


def test_what_a_constructor_makes_is_made_anew_by_the_import() -> None:
    import ast
    import types

    from sparksweep._shipping.changes import Edits, changed_values

    source = "class Data:\n    def __init__(self):\n        self.x = [1] * 9\n        self.y = 1\n    def load(self):\n        self.y = 2\nd = Data()\n"
    module = types.ModuleType("loaded")
    exec(source, module.__dict__)
    functions = Edits.of_texts([source], functions_alone=True)
    program = Edits.of_texts(["class A:\n    def __init__(self):\n        self.x = 3\n"])
    assert changed_values(module, ast.parse(source), program, functions) == {"d.y": 1}
