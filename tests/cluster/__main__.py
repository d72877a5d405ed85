"""The command: ``python -m cluster up --nodes 2``. ``make cluster-up`` and its like call it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cluster import state
from cluster.faults import Faults
from cluster.layout import Layout
from cluster.rig import Rig
from cluster.shell import ClusterError, Unavailable, say

EXTERNAL = "SPARKSWEEP_TEST_KUBECONFIG"

PATIENCE_S = 900
"""Seconds that a command waits for another one that changes the cluster."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 for success, 1 for a failure, 3 if no cluster can run here."""
    options = parser().parse_args(arguments)
    try:
        run(options, Layout.from_environment())
    except Unavailable as error:
        say(str(error))
        return 3
    except ClusterError as error:
        say(str(error))
        return 1
    return 0


def run(options: argparse.Namespace, layout: Layout) -> None:
    """Run the command of the parsed arguments."""
    rig, faults = Rig(layout), Faults(layout)
    match options.command:
        case "build":
            rig.prepare()
        case "up" if os.environ.get(EXTERNAL):
            say(f"{EXTERNAL} names a cluster: none is started")
        case "up":
            with state.lock(layout, PATIENCE_S):
                rig.up(options.nodes)
            say(f"KUBECONFIG={layout.kubeconfig()}")
        case "down":
            with state.lock(layout, PATIENCE_S):
                rig.down(images=options.images)
        case "load":
            rig.load(options.files)
        case "status":
            sys.stdout.write("".join(f"{line}\n" for line in rig.status()))
        case "env":
            sys.stdout.write(f"export KUBECONFIG={layout.kubeconfig()} PATH={layout.bin}:$PATH\n")
        case "chaos":
            # It imports the whole project, which the other commands do without.
            from chaos.command import command

            command(layout, rig, seeds=options.seed, minutes=options.minutes)
        case "lose-node":
            faults.lose_node(options.part)
        case fault:
            getattr(faults, fault)(options.part)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(
        prog="cluster", description="A Kubernetes for tests on this machine, with no registry."
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="compile and install what is missing (minutes, once)")
    up = commands.add_parser("up", help="start it, or add nodes to it")
    up.add_argument("--nodes", type=_count, default=2, help="0: a control plane only; default 2")
    down = commands.add_parser("down", help="remove everything but loaded images")
    down.add_argument("--images", action="store_true", help="remove these, too")
    load = commands.add_parser("load", help="import archives of images on every node")
    load.add_argument("files", nargs="+", type=Path, metavar="FILE.tar")
    commands.add_parser("status", help="list its parts")
    commands.add_parser("env", help="print what a shell needs to use it")
    chaos = commands.add_parser(
        "chaos", help="run experiments under seeded faults; starts what is missing"
    )
    chaos.add_argument("--seed", type=int, nargs="+", default=[1], metavar="N", help="default 1")
    chaos.add_argument(
        "--minutes", type=float, default=1.0, metavar="M", help="of faults for each seed; default 1"
    )
    for name, text in (
        ("freeze", "stop a part in its tracks"),
        ("thaw", "let a frozen part go on"),
        ("kill", "kill a part"),
        ("start", "start a killed part or lost node again"),
        ("lose-node", "take a node's power away"),
    ):
        commands.add_parser(name, help=text).add_argument("part", metavar="PART")
    return whole


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 9:
        raise argparse.ArgumentTypeError(f"{text} is no number of nodes from 0 to 9")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
