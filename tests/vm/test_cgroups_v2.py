"""The slot and its trials in containers with cgroup v2, as a kubelet and runc make them, in a virtual machine.

Durations there say nothing about a real machine. Most scenarios have two trials: the second one shows that the slot is
none the worse for what the first did.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from vm.machine import Machine

# An emulated machine on a busy one is slow, and nothing here depends on it.
pytestmark = pytest.mark.timeout(600)

MIB = 2**20
LIMIT = 192 * MIB
GREEDY = """
    def training(x):
        held = []
        while x == 1:
            held.append(b"x" * 2**22)
        return x
"""


def template(source: str, **fields: Any) -> dict[str, Any]:
    """Return a template of a function with a limit of 192Mi, the container's."""
    return {
        "function": "train:training",
        "source": {"inline": dedent(source)},
        "resources": {"memory": "192Mi"},
        **fields,
    }


def shell(script: str, **fields: Any) -> dict[str, Any]:
    """Return a template of a shell's command, which finds the trial's number in $x."""
    return {
        "command": ["sh", "-c", "x=${trialParameters.x}\n" + dedent(script)],
        "trialParameters": [{"name": "x", "reference": "x"}],
        "resources": {"memory": "192Mi"},
        **fields,
    }


def run(machine: Machine, name: str, trial: dict[str, Any], **scenario: Any) -> dict[str, Any]:
    """Run a scenario in a container of 192 MiB, unless it has other limits."""
    scenario.setdefault("limits", {})
    scenario["limits"].setdefault("memory", LIMIT)
    result: dict[str, Any] = machine.run_json(
        "scenario", {"name": name, "template": trial, **scenario}, timeout_s=280
    )
    return result


def ends(result: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the state and the reason of each trial."""
    return [(trial["state"], trial.get("reason")) for trial in result["trials"]]


def assert_only_the_first_failed(result: dict[str, Any], reason: str) -> str:
    """Assert that the slot outlived the first trial's failure with nothing left of it; return its message."""
    assert ends(result) == [("Failed", reason), ("Succeeded", "Completed")], result
    assert result["left"] == []
    assert result["exit_code"] == 0, result["output"]
    message: str = result["trials"][0]["message"]
    return message


def test_a_container_has_the_limits_and_rights_that_a_kubelet_gives(machine: Machine) -> None:
    result = run(
        machine,
        "rights",
        template(
            """
            import os

            def read(name):
                with open(f"/sys/fs/cgroup/{name}") as file:
                    return file.read().strip()

            def training(x):
                with open("/proc/self/cgroup") as file:
                    assert file.read() == "0::/\\n"
                assert read("memory.max") == str(192 * 2**20)
                assert read("memory.oom.group") == "1"
                assert read("pids.max") == "max", "the pod's limit can be seen"
                assert read("cpu.max") == "150000 100000"
                assert int(read("memory.peak")) > 0
                for name in ("/sys/fs/cgroup/memory.max", "/etc/passwd"):
                    try:
                        open(name, "w")
                    except OSError:
                        pass
                    else:
                        raise AssertionError(name)
                assert os.getuid() == 10001
                with open("/proc/self/status") as file:
                    assert "CapEff:\\t0000000000000000" in file.read()
                # A quota hides no processor: libraries that count them would start as many threads as the node has.
                assert os.cpu_count() == len(os.sched_getaffinity(0)) == 2
                assert os.environ["OMP_NUM_THREADS"] == "1"
                return x
            """,
            resources={"memory": "192Mi", "cpu": "500m"},
        ),
        trials=1,
        limits={"oom_group": True, "pod_pids": 100, "cpu": 1.5},
    )
    assert ends(result) == [("Succeeded", "Completed")], result


@pytest.mark.parametrize("has_namespace", [True, False], ids=["namespace", "machines-path"])
def test_one_process_killed_for_memory_is_the_trial_and_the_slot_goes_on(
    machine: Machine, has_namespace: bool
) -> None:
    name = f"one-{has_namespace}".lower()
    result = run(machine, name, template(GREEDY), limits={"cgroup_namespace": has_namespace})
    message = assert_only_the_first_failed(result, "OOMKilled")
    assert "the kernel killed it because memory ran out; used" in message
    assert "limit 192Mi: raise spec.trialTemplate.resources.memory" in message
    counted = result["figures"]["memory.events"]
    assert (counted["oom_kill"], counted["oom_group_kill"]) == (1, 0)
    # The trial's peak and the executor's own memory are the limit together, and the kernel's peak is that.
    assert LIMIT // 2 < result["trials"][0]["peakMemoryBytes"] < LIMIT
    assert result["peak"] == LIMIT
    assert 4 * MIB < result["trials"][1]["peakMemoryBytes"] < LIMIT // 4


def test_with_a_kill_of_the_group_the_whole_container_is_gone_and_its_cgroup_says_why(
    machine: Machine,
) -> None:
    result = run(machine, "group", template(GREEDY), limits={"oom_group": True})
    # Nobody is left to report: the driver has the rest from the pod's status, whose reason the runtime takes from here.
    assert ends(result) == [("Running", None), ("Pending", None)]
    assert result["exit_code"] == 137
    counted = result["figures"]["memory.events"]
    assert counted["oom_kill"] >= 3, "the slot, its fork server and the trial"
    assert counted["oom_group_kill"] == 1


@pytest.mark.parametrize(
    ("name", "trial"),
    [
        (
            "program",
            shell(
                """
                [ $x != 1 ] || python3 -c 'held = []
                while True: held.append(b"x" * 2**22)' || exit $?
                echo metric=1
                """
            ),
        ),
        (
            "pool",
            template(
                """
                from concurrent.futures import ProcessPoolExecutor

                def eat():
                    held = []
                    while True:
                        held.append(b"x" * 2**22)

                def training(x):
                    if x == 1:
                        with ProcessPoolExecutor(1) as pool:
                            pool.submit(eat).result()
                    return x
                """
            ),
        ),
    ],
)
def test_a_killed_child_process_makes_its_trial_end_for_memory(
    machine: Machine, name: str, trial: dict[str, Any]
) -> None:
    result = run(machine, name, trial)
    message = assert_only_the_first_failed(result, "OOMKilled")
    assert "the kernel killed one of its processes because memory ran out; used" in message


def test_files_in_memory_count_and_are_named(machine: Machine) -> None:
    result = run(
        machine,
        "files",
        template(
            """
            def training(x):
                with open(f"/tmp/{x}", "wb") as file:
                    for _ in range({1: 80, 2: 200}[x]):
                        file.write(bytes(2**20))
                return x
            """
        ),
    )
    # What the second one has left in /tmp would take the room of a third.
    assert ends(result) == [("Succeeded", "Completed"), ("Failed", "OOMKilled")], result
    message = result["trials"][1]["message"]
    assert "of it as files in memory, such as in /dev/shm" in message
    assert "plus 80Mi of files in memory from before it" in message
    assert result["trials"][1]["peakMemoryBytes"] < LIMIT - 80 * MIB


def test_cached_pages_of_files_make_room_for_a_trial(machine: Machine) -> None:
    result = run(
        machine,
        "cache",
        template(
            """
            def training(x):
                with open("/tmp/big", "wb") as file:
                    for _ in range(250):
                        file.write(bytes(2**20))
                return len(b"x" * (100 * 2**20))
            """
        ),
        limits={"tmp_in_memory": False},
    )
    assert ends(result) == [("Succeeded", "Completed")] * 2, result
    assert result["peak"] == LIMIT
    assert result["figures"]["memory.events"]["max"] > 0
    for trial in result["trials"]:
        assert 100 * MIB < trial["peakMemoryBytes"] < 140 * MIB


def test_memory_in_swap_counts_for_the_peak_and_for_the_limit(machine: Machine) -> None:
    for command in (("mkswap", "/dev/vdc"), ("swapon", "/dev/vdc")):
        assert machine.run(*command).code == 0
    try:
        result = run(
            machine,
            "swap",
            template(
                """
                import os, time

                def training(x):
                    held = os.urandom(1) * ({1: 150, 2: 230}[x] * 2**20)
                    with open("/proc/self/status") as file:
                        swapped = next(line for line in file if line.startswith("VmSwap:"))
                    # Time to be looked at.
                    time.sleep(5)
                    assert int(swapped.split()[1]) > 40 * 1024, f"not in swap: {swapped}"
                    return x
                """
            ),
            # Less memory than the trial's limit, so that a trial below the limit is partly in swap.
            limits={"memory": 96 * MIB, "swap": 200 * MIB, "oom_group": True},
        )
    finally:
        assert machine.run("swapoff", "/dev/vdc").code == 0
    first, second = result["trials"]
    assert ends(result) == [("Succeeded", "Completed"), ("Failed", "OOMKilled")], result
    assert 150 * MIB < first["peakMemoryBytes"] < LIMIT
    assert LIMIT < second["peakMemoryBytes"] < 260 * MIB
    assert "Mi, limit 192Mi: raise spec.trialTemplate.resources.memory" in second["message"]
    assert result["peak"] == 96 * MIB
    # The slot has ended it, as where there is no cgroup: the kernel had room for it in swap.
    assert result["figures"]["memory.events"]["oom_kill"] == 0


FORKS = """
    import os

    def training(x):
        while x == 1:
            os.fork()
        return x
"""
PATIENT = """
    import os, time

    def training(x):
        while x == 1:
            try:
                if os.fork() == 0:
                    time.sleep(1000)
            except OSError:
                time.sleep(0.01)
        return x
"""
THREADS = """
    import threading, time

    def training(x):
        while x == 1:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return x
"""
SHELL = """
    b() { b | b & }
    [ $x != 1 ] || { b; sleep 1; exit 3; }
    echo metric=1
"""


@pytest.mark.parametrize(
    ("name", "trial", "limits", "reason"),
    [
        ("forks", template(FORKS), {"pod_pids": 60}, "Exception"),
        ("patient", template(PATIENT, timeoutSeconds=5), {"pids": 60}, "TimedOut"),
        ("threads", template(THREADS), {"pids": 60}, "Exception"),
        ("shell", shell(SHELL), {"pids": 60}, "Exited"),
    ],
)
def test_a_fork_bomb_fails_with_the_limit_of_processes_named_and_nothing_of_it_is_left(
    machine: Machine, name: str, trial: dict[str, Any], limits: dict[str, Any], reason: str
) -> None:
    result = run(machine, f"bomb-{name}", trial, limits={**limits, "memory": 400 * MIB})
    message = assert_only_the_first_failed(result, reason)
    # The limit of a pod is not visible inside of it.
    limit = "60 " if "pids" in limits else ""
    assert (
        f"the limit of {limit}processes and threads of its container or pod was reached" in message
    )


def test_a_throttled_slot_keeps_its_trial_and_stops_it_when_told_to(machine: Machine) -> None:
    result = run(
        machine,
        "throttled",
        template(
            """
            import multiprocessing, signal, sys

            def spin():
                while True:
                    pass

            def training(x):
                for _ in range(3):
                    multiprocessing.Process(target=spin, daemon=True).start()
                spin()
            """,
            terminationGracePeriodSeconds=5,
        ),
        limits={"cpu": 0.3},
        stop_after_s=12,
    )
    assert ends(result) == [("Stopped", "GoalReached")] * 2, result
    first, second = result["trials"]
    assert (first["attempt"], second["attempt"]) == (1, 0)
    assert result["figures"]["cpu.stat"]["nr_throttled"] > 50
    assert result["left"] == []
    assert result["exit_code"] == 0, result["output"]
