"""The kernel's count of OOM kills is found in both layouts of cgroups. The roots are made up, the formats are real."""

from pathlib import Path

import pytest

from sparksweep_trainer.slot.cgroups import oom_kills

EVENTS = "low 0\nhigh 0\nmax 12\noom 4\noom_kill {kills}\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


class Root:
    """A file system's root with what a kernel shows there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def groups(self, *lines: str) -> None:
        self.write("proc/self/cgroup", "".join(f"{line}\n" for line in lines))

    def vmstat(self, kills: int) -> None:
        self.write("proc/vmstat", f"nr_free_pages 17\noom_kill {kills}\nthp_split 0\n")

    @property
    def kills(self) -> int | None:
        return oom_kills(self.path)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


V1 = ("12:cpu,cpuacct:/pod/slot", "9:memory:/pod/slot", "1:name=systemd:/pod/slot")


def test_version_2_counts_in_its_own_group(root: Root) -> None:
    root.groups("0::/pod/slot")
    root.write("sys/fs/cgroup/pod/slot/memory.events", EVENTS.format(kills=3))
    root.write("sys/fs/cgroup/memory.events", EVENTS.format(kills=99))
    root.vmstat(1000)
    assert root.kills == 3


def test_version_2_in_a_container_sees_its_group_as_the_root(root: Root) -> None:
    # The path is the host's when the container has no cgroup namespace.
    root.groups("0::/kubepods/pod1/c1")
    root.write("sys/fs/cgroup/memory.events", EVENTS.format(kills=2))
    root.vmstat(1000)
    assert root.kills == 2


def test_version_1_counts_in_the_memory_controllers_group(root: Root) -> None:
    root.groups(*V1)
    root.write("sys/fs/cgroup/memory/pod/slot/memory.oom_control", CONTROL.format(kills=5))
    root.write("sys/fs/cgroup/memory/memory.oom_control", CONTROL.format(kills=99))
    root.vmstat(1000)
    assert root.kills == 5


def test_version_1_in_a_container_sees_its_group_as_the_controllers_root(root: Root) -> None:
    root.groups(*V1)
    root.write("sys/fs/cgroup/memory/memory.oom_control", CONTROL.format(kills=4))
    assert root.kills == 4


def test_both_at_once_are_told_apart_by_who_has_the_memory_controller(root: Root) -> None:
    root.groups(*V1, "0::/pod/slot")
    root.write("sys/fs/cgroup/memory/pod/slot/memory.oom_control", CONTROL.format(kills=6))
    root.vmstat(1000)
    assert root.kills == 6


def test_an_old_version_1_without_the_counter_leaves_the_machines(root: Root) -> None:
    root.groups(*V1)
    root.write(
        "sys/fs/cgroup/memory/pod/slot/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n"
    )
    root.vmstat(8)
    assert root.kills == 8


@pytest.mark.parametrize("groups", [(), ("0::/",), ("9:cpuset,cpu:/x", "garbage")])
def test_without_a_memory_group_the_machines_count_is_taken(
    root: Root, groups: tuple[str, ...]
) -> None:
    root.groups(*groups)
    root.vmstat(7)
    assert root.kills == 7


def test_a_kernel_that_tells_nothing_is_no_error(root: Root) -> None:
    assert root.kills is None
    root.groups("0::/pod/slot")
    root.write("proc/vmstat", "nr_free_pages 17\n")
    assert root.kills is None


def test_a_kill_shows_as_a_higher_count(root: Root) -> None:
    root.groups("0::/")
    root.write("sys/fs/cgroup/memory.events", EVENTS.format(kills=0))
    before = root.kills
    root.write("sys/fs/cgroup/memory.events", EVENTS.format(kills=1))
    assert before == 0
    assert root.kills == 1


def test_this_machine_tells_or_says_that_it_does_not() -> None:
    kills = oom_kills()
    assert kills is None or kills >= 0
