"""The kernel's figures are found in every layout of cgroups. The roots are made up, the formats are those of kernels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sparksweep_trainer.slot.cgroups import Figures, read_figures

Tree = Mapping[str, str]


def events(kills: int) -> str:
    """Return memory.events; before Linux 5.17 there was no oom_group_kill."""
    return f"low 0\nhigh 0\nmax 12\noom 4\noom_kill {kills}\noom_group_kill 0\n"


def control(kills: int) -> str:
    return f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


def vmstat(kills: int) -> str:
    return f"nr_free_pages 17\noom_kill {kills}\nthp_split 0\n"


def groups(*lines: str) -> Tree:
    return {"proc/self/cgroup": "".join(f"{line}\n" for line in lines)}


V1 = groups("12:cpu,cpuacct:/pod/c", "9:memory:/pod/c", "7:pids:/pod/c", "1:name=systemd:/pod/c")
HYBRID = groups("12:cpu,cpuacct:/pod/c", "9:memory:/pod/c", "7:pids:/pod/c", "0::/pod/c")
V2_STAT = "anon 8192\nfile 12288\nshmem 4096\nfile_mapped 0\n"
V1_STAT = "cache 12288\nrss 8192\nshmem 1\ntotal_cache 12288\ntotal_rss 8192\ntotal_shmem 4096\n"

TREES: Mapping[str, tuple[Tree, Figures]] = {
    "version 2 in a cgroup namespace": (
        {
            **groups("0::/"),
            "sys/fs/cgroup/memory.events": events(3),
            "sys/fs/cgroup/memory.stat": V2_STAT,
            "sys/fs/cgroup/pids.max": "60\n",
            "sys/fs/cgroup/pids.events": "max 7\n",
            "proc/vmstat": vmstat(1000),
        },
        Figures(
            oom_kills=3,
            oom_kills_are_own=True,
            process_limit=60,
            refused_forks=7,
            file_bytes=4096,
        ),
    ),
    "version 2 with the machine's path and all of its hierarchy": (
        {
            **groups("0::/kubepods/pod1/c1"),
            "sys/fs/cgroup/kubepods/pod1/c1/memory.events": events(3),
            "sys/fs/cgroup/kubepods/pod1/c1/pids.max": "max\n",
            "sys/fs/cgroup/kubepods/pod1/c1/pids.events": "max 2\n",
            "sys/fs/cgroup/kubepods/pod1/memory.events": events(8),
            "sys/fs/cgroup/kubepods/pod1/pids.max": "100\n",
            "sys/fs/cgroup/kubepods/pids.max": "4000\n",
            "sys/fs/cgroup/memory.events": events(99),
        },
        Figures(oom_kills=3, oom_kills_are_own=True, process_limit=100, refused_forks=2),
    ),
    "version 2 with the machine's path and only its own part mounted": (
        {
            **groups("0::/kubepods/pod1/c1"),
            "sys/fs/cgroup/memory.events": events(2),
            "sys/fs/cgroup/pids.max": "max\n",
            "proc/vmstat": vmstat(1000),
        },
        Figures(oom_kills=2, oom_kills_are_own=True),
    ),
    "version 2 in a cgroup below the container's, without controllers of its own": (
        {
            **groups("0::/init/slot"),
            "sys/fs/cgroup/init/slot/cgroup.procs": "1\n",
            "sys/fs/cgroup/init/memory.events": events(5),
            "sys/fs/cgroup/memory.events": events(6),
            "sys/fs/cgroup/pids.max": "60\n",
            "sys/fs/cgroup/pids.events": "max 0\n",
        },
        Figures(oom_kills=5, oom_kills_are_own=True, process_limit=60, refused_forks=0),
    ),
    "version 2 outside of the mounter's namespace": (
        {**groups("0::/../c2"), "sys/fs/cgroup/memory.events": events(4)},
        Figures(oom_kills=4, oom_kills_are_own=True),
    ),
    "version 2 of a kernel before 5.17, in the root cgroup of a machine": (
        {**groups("0::/"), "sys/fs/cgroup/cgroup.procs": "1\n", "proc/vmstat": vmstat(7)},
        Figures(oom_kills=7),
    ),
    "version 1 with the machine's path": (
        {
            **V1,
            "sys/fs/cgroup/memory/pod/c/memory.oom_control": control(5),
            "sys/fs/cgroup/memory/pod/c/memory.stat": V1_STAT,
            "sys/fs/cgroup/pids/pod/c/pids.max": "60\n",
            "sys/fs/cgroup/pids/pod/c/pids.events": "max 7\n",
            "sys/fs/cgroup/memory/memory.oom_control": control(99),
            "proc/vmstat": vmstat(1000),
        },
        Figures(
            oom_kills=5,
            oom_kills_are_own=True,
            process_limit=60,
            refused_forks=7,
            file_bytes=4096,
        ),
    ),
    "version 1 in a container": (
        {
            **V1,
            "sys/fs/cgroup/memory/memory.oom_control": control(4),
            "sys/fs/cgroup/pids/pids.max": "max\n",
            "sys/fs/cgroup/pids/pids.events": "max 0\n",
        },
        Figures(oom_kills=4, oom_kills_are_own=True, refused_forks=0),
    ),
    "version 1 in a cgroup namespace": (
        {
            **groups("9:memory:/", "7:pids:/"),
            "sys/fs/cgroup/memory/memory.oom_control": control(4),
            "sys/fs/cgroup/pids/pids.max": "60\n",
        },
        Figures(oom_kills=4, oom_kills_are_own=True, process_limit=60),
    ),
    "version 1 of a kernel before 4.13, which did not count": (
        {
            **V1,
            "sys/fs/cgroup/memory/pod/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n",
            "proc/vmstat": vmstat(8),
        },
        Figures(oom_kills=8),
    ),
    "hybrid: version 1 has the controllers": (
        {
            **HYBRID,
            "sys/fs/cgroup/unified/pod/c/cgroup.procs": "1\n",
            "sys/fs/cgroup/memory/pod/c/memory.oom_control": control(6),
            "sys/fs/cgroup/pids/pod/c/pids.max": "60\n",
            "proc/vmstat": vmstat(1000),
        },
        Figures(oom_kills=6, oom_kills_are_own=True, process_limit=60),
    ),
    "no cgroups at all": ({"proc/vmstat": vmstat(7)}, Figures(oom_kills=7)),
    "cgroups that are not mounted": (
        {**groups("0::/pod/c"), "proc/vmstat": vmstat(7)},
        Figures(oom_kills=7),
    ),
    "neither memory nor pids among the controllers": (
        {**groups("9:cpuset,cpu:/x", "garbage"), "proc/vmstat": vmstat(7)},
        Figures(oom_kills=7),
    ),
    "a kernel before 4.13 without cgroups": (
        {"proc/vmstat": "nr_free_pages 17\n"},
        Figures(),
    ),
    "files with something else than figures": (
        {
            **groups("0::/"),
            "sys/fs/cgroup/memory.events": "oom_kill many\n\noom_kill\n",
            "sys/fs/cgroup/memory.stat": "",
            "sys/fs/cgroup/pids.max": "\n",
            "sys/fs/cgroup/pids.events": "\udcff",
        },
        Figures(),
    ),
    "nothing": ({}, Figures()),
}


@pytest.mark.parametrize(("tree", "figures"), TREES.values(), ids=TREES.keys())
def test_figures_are_those_of_the_nearest_cgroup_that_has_them(
    tree: Tree, figures: Figures, tmp_path: Path
) -> None:
    for name, text in tree.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode(errors="surrogateescape"))
    assert read_figures(tmp_path) == figures


def test_this_machine_has_figures_or_says_that_it_has_not() -> None:
    figures = read_figures()
    assert figures.oom_kills is None or figures.oom_kills >= 0
    assert figures.process_limit is None or figures.process_limit > 0
