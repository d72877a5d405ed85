"""Output and files of trials, during the run and after, read by the command line through the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_commands import CommandLine, Followed
from support.e2e.e2e_experiments import experiment
from support.e2e.e2e_faults import kill_pod, processes_of

pytestmark = pytest.mark.nodes

SOURCE = """
import os, sys, time

def training(x):
    for epoch in range(EPOCHS):
        print("epoch", epoch, "of x =", x, flush=True)
        time.sleep(0.25)
    print("a warning", file=sys.stderr)
    with open("model.bin", "wb") as model:
        model.write(b"w" * 1000)
    return x
"""

FLOOD = """
import os

def training(x):
    block = (b"x" * 127 + b"\\n") * 8192
    for _ in range(1024 if x == 1 else 1):
        os.write(1, block)
    print("the last line")
    return x
"""


@pytest.fixture
def command(namespace: Namespace) -> CommandLine:
    return CommandLine(namespace)


def test_a_log_is_followed_while_its_trial_runs_and_read_after_the_end(
    namespace: Namespace, command: CommandLine, figure: Callable[[str], None]
) -> None:
    source = SOURCE.replace("EPOCHS", "40")
    namespace.apply(experiment("talks", trials=2, source=source, parallel=1))
    namespace.wait_for(
        lambda: namespace.status("talks").get("trials", {}).get("running"), "a trial runs"
    )
    followed = Followed(command, "logs", "talks", "--trial", "1", "--follow", "--timestamps")
    namespace.wait_for(lambda: len(followed.lines) > 3, "its lines are seen")
    assert namespace.trials("talks")[1]["state"] == "Running"
    first = followed.lines[0]
    assert first.endswith("Z epoch 0 of x = 1\n"), first
    assert followed.end() == 0
    assert len(followed.lines) == 41
    assert followed.lines == sorted(followed.lines)
    executor = namespace.trials("talks")[1]["node"]
    assert "[trial 1] epoch 3 of x = 1\n" in namespace.kubectl("logs", executor)

    status = namespace.wait_until_finished("talks")
    assert status["trials"]["succeeded"] == 2
    namespace.wait_for(lambda: not namespace.running("talks", "executor"), "no executor is left")
    shown = command("logs", "talks", "--trial", "2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        *(f"epoch {epoch} of x = 2" for epoch in range(40)),
        "a warning",
    ]
    missing = command("logs", "talks", "--trial", "3")
    assert missing.returncode == 2
    assert "there is no trial 3" in missing.stderr
    nobody = command("logs", "nobody", "--trial", "3")
    assert nobody.returncode == 2
    assert '"nobody" not found' in nobody.stderr


def test_what_was_printed_before_its_executor_was_killed_is_there(
    namespace: Namespace, command: CommandLine
) -> None:
    source = SOURCE.replace("EPOCHS", "60")
    namespace.apply(experiment("lost", trials=2, source=source, parallel=1))
    namespace.wait_for(
        lambda: "epoch 8 of" in command("logs", "lost", "--trial", "1").stdout, "it has printed"
    )
    (executor,) = [
        pod
        for pod in namespace.pods("lost", "executor")
        if pod["metadata"]["name"] in namespace.running("lost", "executor")
    ]
    kill_pod(executor)
    namespace.wait_for(lambda: namespace.trials("lost")[1]["attempt"] == 2, "it runs again")
    first = namespace.wait_for(
        lambda: command("logs", "lost", "--trial", "1", "--attempt", "1").stdout,
        "the log of its first attempt is put aside",
    )
    assert "epoch 8 of" in first
    assert "a warning" not in first
    namespace.wait_until_finished("lost")
    last = command("logs", "lost", "--trial", "1").stdout
    assert "epoch 59 of" in last
    assert "[sparksweep: attempt 1: ExecutorLost: " in last


def test_a_gigabyte_of_output_is_capped_and_neither_stops_the_trial_nor_fills_the_disk(
    namespace: Namespace, command: CommandLine, figure: Callable[[str], None]
) -> None:
    namespace.apply(experiment("floods", trials=2, source=FLOOD, parallel=1))
    status = namespace.wait_until_finished("floods")
    assert status["trials"]["succeeded"] == 2
    seconds = namespace.trials("floods")[1]["durationSeconds"]
    shown = command("logs", "floods", "--trial", "1").stdout
    figure(f"a trial printed 1 GiB in {seconds:.1f} s, {len(shown) / 2**20:.1f} MiB of it are kept")
    assert len(shown) < 17 * 2**20
    assert shown.endswith("the last line\n")
    lines = [line for line in shown.splitlines() if line.startswith("[sparksweep: ")]
    assert len(lines) == 2
    assert "bytes left out here" in lines[1]


def test_the_viewer_answers_when_the_driver_and_its_java_are_gone(
    namespace: Namespace, command: CommandLine, figure: Callable[[str], None]
) -> None:
    source = SOURCE.replace("EPOCHS", "20")
    namespace.apply(experiment("over", trials=2, source=source, parallel=1))
    namespace.wait_for(
        lambda: namespace.status("over").get("trials", {}).get("running"), "a trial runs"
    )
    before = memory_of(namespace, "over")
    namespace.wait_until_finished("over")
    states = namespace.wait_for(
        lambda: (
            (found := container_states(namespace, "over")).get("driver") == "terminated" and found
        ),
        "the driver's container ends",
    )
    assert states == {"driver": "terminated", "viewer": "running"}
    after = memory_of(namespace, "over")
    figure(f"memory of the driver's pod: {before} MiB while it ran, {after} MiB after")
    # What is left is the viewer and TensorBoard.
    assert after < before / 2
    assert not any(b"java" in command for command in commands_of(namespace, "over"))
    assert command("logs", "over", "--trial", "1").returncode == 0
    (pod,) = namespace.pods("over", "driver")
    (driver,) = [item for item in pod["status"]["containerStatuses"] if item["name"] == "driver"]
    assert driver["state"]["terminated"]["exitCode"] == 0
    namespace.kubectl("delete", "swx", "over", "--wait=false")
    namespace.wait_for(lambda: not namespace.left(), "nothing is left", timeout_s=60)


def container_states(namespace: Namespace, name: str) -> dict[str, str]:
    (pod,) = namespace.pods(name, "driver")
    return {item["name"]: next(iter(item["state"])) for item in pod["status"]["containerStatuses"]}


def commands_of(namespace: Namespace, name: str) -> list[bytes]:
    """Return the command lines of the driver pod's processes."""
    return facts_of(namespace, name, "cmdline")


def memory_of(namespace: Namespace, name: str) -> int:
    """Return the MiB of memory of the driver pod's processes, as the kernel counts them."""
    return (
        sum(
            int(line.split()[1])
            for fact in facts_of(namespace, name, "smaps_rollup")
            for line in fact.splitlines()
            if line.startswith(b"Pss:")
        )
        // 1024
    )


def facts_of(namespace: Namespace, name: str, file: str) -> list[bytes]:
    """Return a file of /proc for each of the driver pod's processes that still runs."""
    (pod,) = namespace.pods(name, "driver")
    found = []
    for pid in processes_of(pod):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(Path(f"/proc/{pid}/{file}").read_bytes())
    return found
