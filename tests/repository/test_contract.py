"""Agreements between programs stand in the contract, once: no copy in the code, the chart or the image's entry point."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.api.storage import Storage
from sparksweep_core.api.volumes import RESERVED_PATHS
from sparksweep_core.contract import directories, driver_config, environment, labels, names, ports
from sparksweep_core.contract.driver_config import DriverConfig
from sparksweep_operator.manifests.security import USER
from sparksweep_trainer.slot.environment import trial_environment

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "core" / "sparksweep_core" / "contract"
PROTOCOL = ROOT / "trainer_image" / "sparksweep_trainer" / "protocol.py"
CHART = ROOT / "charts" / "sparksweep"
SOURCES = sorted(
    path
    for root in ("core", "operator", "sdk", "trainer_image")
    for path in (ROOT / root).rglob("*.py")
    if path != PROTOCOL and CONTRACT not in path.parents
)

TELLING = ("/", environment.PREFIX)
PATTERNS = ("-driver-", "-exec-")
"""Parts of names that only the contract puts together and takes apart."""

COMMON_WORDS = {
    "metrics", "sparksweep", "stderr", "stdout", "tensorboard", "token", "trials",
}  # fmt: skip
"""Values that are words of their own: fields, columns, arguments and volumes are called so, too."""

ALLOWED = {
    ("core/sparksweep_core/api/volumes.py", "/var/lib/sparksweep"):
        "the API is below the contract; test_no_volume_can_hide_a_directory_of_the_contract holds it",
    ("operator/sparksweep_operator/__main__.py", "sparksweep-operator"): "the program's name in its help",
    ("operator/sparksweep_operator/manifests/driver_pod.py", "ca.crt"):
        "the key in kube-root-ca.crt, which is Kubernetes' own ConfigMap",
    ("trainer_image/sparksweep_trainer/kubernetes/batch_statuses.py", "driver"): "the field TrialBatch.status.driver",
    ("trainer_image/sparksweep_trainer/kubernetes/status_writer.py", "driver"): "the field TrialBatch.status.driver",
    ("trainer_image/sparksweep_trainer/viewer/server.py", "viewer"): "a thread's name",
}  # fmt: skip


def constants(path: Path, module: str) -> Iterator[str | int]:
    """Iterate over the values of a module's constants: texts, members of tuples, and unusual ports and sizes."""
    loaded = importlib.import_module(module)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = getattr(loaded, node.targets[0].id)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, str) or (isinstance(item, int) and item > 2000):
                    yield item


def agreed() -> set[str | int]:
    modules = {path: f"sparksweep_core.contract.{path.stem}" for path in CONTRACT.glob("[!_]*.py")}
    modules[PROTOCOL] = "sparksweep_trainer.protocol"
    return {value for path, name in modules.items() for value in constants(path, name)}


def literals(source: str) -> Iterator[tuple[int, Any]]:
    """Iterate over the literals with their lines, without docstrings."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            yield node.lineno, node.value


def copies(source: str, values: set[str | int]) -> list[tuple[int, Any]]:
    """Return literals that equal such a value, or contain a path, a variable's name or one of `PATTERNS`."""
    parts = [*PATTERNS, *(it for it in values if isinstance(it, str) and it.startswith(TELLING))]
    parts.remove(environment.PREFIX)
    return [
        (line, value)
        for line, value in literals(source)
        if (isinstance(value, str | int) and not isinstance(value, bool) and value in values)
        or (isinstance(value, str) and any(part in value for part in parts))
    ]


def test_no_constant_of_the_contract_is_copied() -> None:
    values = agreed() - COMMON_WORDS
    assert {
        ports.METRICS_PORT,
        names.VIEWER_CONTAINER,
        "SPARKSWEEP_TRIAL_DIR",
        "/v1/next",
    } <= values
    copied, allowed = [], set()
    for path in SOURCES:
        name = str(path.relative_to(ROOT))
        for line, value in copies(path.read_text(), values):
            if (name, value) in ALLOWED:
                allowed.add((name, value))
            else:
                copied.append(f"{name}:{line}: {value!r}")
    assert not copied, "import these from sparksweep_core.contract"
    assert allowed == set(ALLOWED), "an exception that nothing needs"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("PORT = 7782", [(1, 7782)]),
        ('def f():\n    return {"SPARKSWEEP_LOGDIR": 1}', [(2, "SPARKSWEEP_LOGDIR")]),
        ('N = re.compile(r"-driver-(\\d+)$")', [(1, r"-driver-(\d+)$")]),
        ('def f(n):\n    return f"{n}-driver-0"', [(2, "-driver-0")]),
        ('X = "/var/lib/sparksweep/a"', [(1, "/var/lib/sparksweep/a")]),
        ('"""SPARKSWEEP_LOGDIR"""\nX = "PREFIX_OF_SPARKSWEEP_ALONE", "drivers", True, 1', []),
    ],
)
def test_a_copy_is_found_wherever_it_is(source: str, found: list[tuple[int, Any]]) -> None:
    assert copies(source, agreed()) == found


# ---------------------------------------------------------------------- what is no Python


def templates() -> str:
    return "\n".join(path.read_text() for path in sorted((CHART / "templates").rglob("*.*")))


def test_the_charts_ports_are_those_of_the_contract() -> None:
    # The viewer's and the gateway's are on loopback addresses, which no policy concerns.
    agreed_ports = {value for name, value in vars(ports).items() if name.endswith("_PORT")}
    agreed_ports -= {ports.VIEWER_PORT, ports.GATEWAY_PORT}
    assert re.findall(r"'127\.0\.0\.1', (\d+)", templates()) == [str(ports.GATEWAY_PORT)] * 2
    dns = 53
    named = re.findall(r"\b(?:port|containerPort|--metrics-port)[:=] ?(\d+)", templates())
    assert set(map(int, named)) == agreed_ports | {dns}
    assert f"path: {ports.OPERATOR_HEALTH_PATH}" in templates()
    described = re.findall(r"\bport (\d+)", (CHART / "values.yaml").read_text())
    assert list(map(int, described)) == [ports.OPERATOR_METRICS_PORT, ports.METRICS_PORT]


def test_the_charts_labels_are_those_of_the_contract() -> None:
    roles = re.findall(r"sparksweep\.dev/(\w+): (\w+)", templates())
    assert set(roles) == {("role", labels.DRIVER), ("role", labels.EXECUTOR)}
    assert labels.ROLE_LABEL == "sparksweep.dev/role"
    parts = re.findall(r"(\S+/part-of): (\S+)", templates())
    assert set(parts) == {(labels.PART_OF_LABEL, labels.PART_OF)}
    components = re.findall(r"(\S+/component): (\w+)", templates())
    assert {label for label, _ in components} == {labels.COMPONENT_LABEL}
    assert {role for _, role in components} == {
        "operator", "test", "viewer", labels.DRIVER, labels.EXECUTOR,
    }  # fmt: skip


def test_the_image_knows_the_commands_of_the_pods_that_are_made() -> None:
    entry_point = (ROOT / "trainer_image" / "entrypoint.sh").read_text()
    commands = set(re.findall(r"^(\w+)\)$", entry_point, re.MULTILINE))
    # An executor is Spark's to start.
    assert commands == {names.DRIVER_COMMAND, names.VIEWER_COMMAND, "executor"}


def test_the_images_users_are_those_of_the_pods() -> None:
    for part in ("operator", "trainer_image"):
        users = re.findall(r"^USER (.*)$", (ROOT / part / "Dockerfile").read_text(), re.MULTILINE)
        assert users == [f"{USER}:{USER}"]
    operators = yaml.safe_load((CHART / "values.yaml").read_text())["podSecurityContext"]
    assert (operators["runAsUser"], operators["runAsGroup"]) == (USER, USER)


def test_the_page_on_security_names_every_port_that_something_may_connect_to() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = {int(text) for text in re.findall(r"\b[678]\d{3}\b", page)}
    everything = {value for name, value in vars(ports).items() if name.endswith("_PORT")}
    assert named == everything


def test_the_page_on_trials_names_every_variable_that_a_trial_is_given() -> None:
    page = (ROOT / "docs" / "trials.md").read_text()
    variables = trial_environment(
        experiment="digits", number=1, attempt=1, directory=Path("/t"), parameters={}
    )
    assert set(re.findall(r"SPARKSWEEP_\w+", page)) >= set(variables)
    assert set(variables) <= agreed()


# ---------------------------------------------------------------------- what the API says of it


def test_no_volume_can_hide_a_directory_of_the_contract() -> None:
    ours = [
        value
        for name, value in vars(directories).items()
        if name.endswith("_DIRECTORY") and value != directories.ACCOUNT_DIRECTORY
    ]
    assert len(ours) == 6
    for directory in ours:
        assert any(f"{directory}/".startswith(f"{path}/") for path in RESERVED_PATHS), directory


def test_a_run_may_fill_nine_tenths_of_its_volume_by_default() -> None:
    assert memory_bytes(Storage().size_limit) * 9 // 10 == driver_config.RUN_BYTES


def test_a_driver_reads_what_a_later_operator_has_written() -> None:
    config = {"experiment": "digits", "master": "local[2]", "spark": {}, "later": {"a": 1}}
    assert DriverConfig.from_json(json.dumps(config)) == DriverConfig(
        experiment="digits", master="local[2]", spark={}, tensorboard=True, run_bytes=9 * 2**30
    )
