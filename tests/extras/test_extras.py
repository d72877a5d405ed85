"""Each extra, installed alone from the wheel, does what docs/installation.md promises for it, and nothing less works."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.client import Cluster
from support.environments import ROOT, Environment

pytestmark = pytest.mark.extras

EXPERIMENT = """\
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: hello}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: grid}
  parameters:
  - {name: x, parameterType: int, feasibleSpace: {min: "1", max: "3"}}
  trialTemplate:
    function: hello:training
    source: {inline: "def training(x): return {'loss': x}"}
"""

BUILD = """\
from sparksweep import Experiment, report, search
from sparksweep.api import Experiment as Document
def training(x):
    return {"loss": x}
experiment = Experiment(training, {"x": search.int_uniform(1, 3)}, name="built", objective="loss", direction="min")
"""

Install = Callable[[str], Environment]


@pytest.fixture(scope="module")
def none(install: Install) -> Environment:
    return install("")


def test_every_extra_has_a_test() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    tested = {
        name.removeprefix("test_").split("_")[0] for name in globals() if name.startswith("test_")
    }
    # examples/ are run by the tests of tests/repository and by the demo, on the versions of the lock.
    assert set(extras) - {"examples"} <= tested


def test_none_builds_experiments_and_checks_files(none: Environment) -> None:
    none.import_all("sparksweep_core")
    (none.home / "hello.yaml").write_text(EXPERIMENT)
    done = none.run("sparksweep", "validate", "hello.yaml")
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout
    assert none.run("sparksweep", "--help").returncode == 0
    assert "kind: Experiment" in none.python(BUILD + "print(experiment.to_yaml())")


def test_none_says_which_extra_a_local_run_needs(none: Environment) -> None:
    (none.home / "hello.yaml").write_text(EXPERIMENT)
    done = none.run("sparksweep", "run", "hello.yaml")
    assert done.returncode != 0
    assert "pip install 'sparksweep[local]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_none_says_which_extra_a_local_experiment_needs(none: Environment) -> None:
    done = none.run("python", "-c", BUILD + "experiment.submit()")
    assert "pip install 'sparksweep[local]'" in done.stderr
    assert "sparksweep.errors.MissingDependency" in done.stderr


def test_none_says_which_extra_a_cluster_needs(none: Environment) -> None:
    done = none.run("sparksweep", "trials", "hello", "--namespace", "lab")
    assert done.returncode != 0
    assert "pip install 'sparksweep[client]'" in done.stderr
    program = BUILD + "experiment.submit(namespace='lab')"
    done = none.run("python", "-c", program)
    assert "pip install 'sparksweep[client]'" in done.stderr


def test_none_says_which_extra_data_needs(none: Environment) -> None:
    (none.home / "x.parquet").touch()
    done = none.run(
        "python", "-c", "from sparksweep import data; data.dataset('x.parquet').pandas()"
    )
    assert "pip install 'sparksweep[data]'" in done.stderr


def test_client_reaches_a_cluster(
    install: Install, control_plane: Cluster, crds: None, namespace: str
) -> None:
    client = install("client")
    config = {"KUBECONFIG": str(control_plane.kubeconfig)}
    client.python(BUILD + f"experiment.submit(namespace={namespace!r})", **config)
    done = client.run(
        "sparksweep", "trials", "built", "--namespace", namespace, "--output", "json", **config
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    names = client.python(
        "from sparksweep.client import Client\n"
        f"print([found.metadata.name for found in Client({namespace!r}).experiments()])",
        **config,
    )
    assert names.strip() == "['built']"


def test_data_reads_parquet_in_batches(install: Install) -> None:
    """`Dataset.pandas()` and `.tf()` need those libraries, too: they come with the notebook extra and the image."""
    environment = install("data")
    environment.import_all("sparksweep.data", but=("_tensorflow_dataset",))
    program = """\
import pyarrow as pa, pyarrow.parquet as pq, fsspec, requests
pq.write_table(pa.table({"x": [1, 2, 3]}), "x.parquet")
from sparksweep import data
print(len(data.dataset("x.parquet")), data.path("x.parquet"))
"""
    assert environment.python(program).startswith("3 ")
    done = environment.run(
        "python", "-c", "from sparksweep import data; data.dataset('x.parquet').pandas()"
    )
    assert "pandas is not installed" in done.stderr
    assert "sparksweep.errors.MissingDependency" in done.stderr


def test_trainer_has_all_that_the_image_starts(install: Install) -> None:
    trainer = install("trainer")
    trainer.import_all("sparksweep_core")
    trainer.import_all("sparksweep_trainer")
    done = trainer.run("python", "-m", "sparksweep_trainer.kubernetes")
    assert done.returncode != 0
    assert "No such file or directory: '/etc/sparksweep/driver/driver.json'" in done.stdout


def test_driver_can_make_the_certificate_of_a_run(install: Install) -> None:
    driver = install("driver")
    driver.import_all("sparksweep_trainer")
    program = """
from sparksweep_trainer.driver.run_certificate import RunCertificate
print(RunCertificate.make().text)
"""
    assert "BEGIN CERTIFICATE" in driver.python(program)


def test_local_runs_an_experiment_without_warnings(install: Install) -> None:
    local = install("local")
    (local.home / "hello.yaml").write_text(EXPERIMENT)
    done = local.run("sparksweep", "run", "hello.yaml")
    assert done.returncode == 0, done.stderr
    assert "Best trial 1: loss=1 with x=1" in done.stdout + done.stderr
    assert "Warning" not in done.stderr


def test_local_is_what_the_readme_installs_and_runs(install: Install, wheel: Path) -> None:
    """Its commands in their order, in an environment that has the libraries already: only the wheel is not from an index."""
    local = install("local")
    readme = (ROOT / "README.md").read_text()
    (pip,) = re.findall(r"^pip install '.*'$", readme, re.MULTILINE)
    (commands,) = re.findall(r"```sh\n(sparksweep validate hello\.yaml .*?)```", readme, re.DOTALL)
    (document,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    local.add_pip()
    local.run("pip", "uninstall", "--yes", "sparksweep")
    (local.home / "dist").mkdir()
    shutil.copy(wheel, local.home / "dist")
    (local.home / "hello.yaml").write_text(document)
    installed = local.run(*shlex.split(pip), "--no-index")
    assert installed.returncode == 0, installed.stderr
    done = None
    for line in commands.splitlines():
        done = local.run(*shlex.split(line, comments=True))
        assert done.returncode == 0, done.stderr
    assert done is not None
    assert "trial: " in done.stdout
    # An extra is added to an installed wheel without an index that has it.
    added = local.run("pip", "install", "--no-index", "sparksweep[local]")
    assert added.returncode == 0, added.stderr


def test_operator_has_all_that_its_image_starts(install: Install) -> None:
    operator = install("operator")
    operator.import_all("sparksweep_core")
    operator.import_all("sparksweep_operator")
    done = operator.run("python", "-m", "sparksweep_operator", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: sparksweep-operator")


def test_none_says_which_extra_tensorboard_needs(none: Environment) -> None:
    (none.home / "run" / "trials").mkdir(parents=True)
    (none.home / "run" / "experiment.yaml").write_text(EXPERIMENT)
    (none.home / "run" / "journal.jsonl").touch()
    done = none.run("sparksweep", "tensorboard", "run")
    assert done.returncode != 0
    assert "pip install 'sparksweep[tensorboard]'" in done.stderr


def test_tensorboard_shows_a_run_that_another_environment_has_made(install: Install) -> None:
    """Neither Spark nor Arrow is needed to look at a run."""
    environment = install("tensorboard")
    (environment.home / "run" / "trials").mkdir(parents=True)
    (environment.home / "run" / "experiment.yaml").write_text(EXPERIMENT)
    (environment.home / "run" / "journal.jsonl").touch()
    program = """\
from pathlib import Path
from urllib.request import urlopen
from sparksweep._local.tensorboard import LocalTensorBoard, usable_port
with LocalTensorBoard(Path("run"), port=usable_port(0)) as board:
    print(urlopen(board.url + "data/environment").status)
"""
    assert environment.python(program).strip() == "200"


def test_viz_has_plotly_and_builds_experiments(install: Install) -> None:
    viz = install("viz")
    viz.python("import plotly.graph_objects as go; go.Figure().to_json()")
    assert "kind: Experiment" in viz.python(BUILD + "print(experiment.to_yaml())")


def test_notebook_runs_here_and_has_data_frames(install: Install) -> None:
    notebook = install("notebook")
    notebook.python("import kubernetes, plotly")
    program = BUILD + (
        "result = experiment.submit().wait()\n"
        "print(list(result.trials.columns)); print(result.best_params)\n"
    )
    done = notebook.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert "parameters.x" in done.stdout
    assert "{'x': 1}" in done.stdout
    assert "Warning" not in done.stderr
