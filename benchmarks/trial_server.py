"""Benchmark: the trial server with many slots, idle and busy: its threads, its memory and its answers.

    python benchmarks/trial_server.py [--slots 10 100 1000] [--trial-s 2] [--rounds 5]

The server runs in a process of its own, with a real ledger. Each simulated slot has the connections of a real one: one for
work, and one for the heartbeat of its trial. Idle slots all wait for a trial (long polling); then each runs trials of
`--trial-s` seconds, in which it only waits. The last line is the memory that each
further slot takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from sparksweep_core.api import Parameter, TrialReason, TrialSpec, TrialState, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService

SLOTS_A_NODE = 100
"""Slots that come from one address."""
OUTCOME = {
    "state": TrialState.SUCCEEDED.value,
    "reason": TrialReason.COMPLETED.value,
    "metrics": {"accuracy": 0.5},
    "startTime": "2026-01-01T00:00:00.000Z",
    "completionTime": "2026-01-01T00:00:02.000Z",
    "durationSeconds": 2.0,
}
PROGRAM = Program(
    experiment="benchmark",
    parameters=[
        Parameter(
            name="x",
            parameter_type=ParameterType.INT,
            feasible_space=FeasibleSpace(min="1", max="9"),
        )
    ],
    trial_template=TrialTemplate(function="train:training"),
    trials_directory="trials",
)


def serve(pipe: Connection, slots: int, trials: int) -> None:
    """Run the server until the other end of the pipe is closed."""
    service = TrialService(PROGRAM, slots=slots)
    server = TrialServer(service)
    pipe.send((server.port, server.token))
    while pipe.recv() == "submit":
        service.submit(TrialSpec(number=n, parameters={"x": "1"}) for n in range(1, trials + 1))
    service.close()
    pipe.recv()
    server.close()


@dataclass
class Times:
    """Seconds between requests and their answers."""

    hello: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)


class Client:
    """One kept-alive connection."""

    def __init__(self, number: int, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._node = f"127.0.1.{1 + number // SLOTS_A_NODE}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Send a request and return the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(self._node, 0)
            )
        reader, writer = self._streams
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: driver\r\nAccept-Encoding: identity\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 200"), answer
        length = int(answer.lower().partition("content-length:")[2].split("\r\n")[0])
        parsed: dict[str, object] = json.loads(await reader.readexactly(length))
        return parsed

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


async def beat(client: Client, body: dict[str, object]) -> None:
    """Send heartbeats until cancelled."""
    while True:
        await client.post("/v1/heartbeat", body)


async def slot(
    number: int, address: tuple[int, str], times: Times, trial_s: float, idle: asyncio.Semaphore
) -> None:
    """Run trials until the server lets the slot leave."""
    work, heart = Client(number, *address), Client(number, *address)
    begun = time.perf_counter()
    await work.post("/v1/hello", {"slot": number, "node": f"node-{number}", "pid": 1})
    times.hello.append(time.perf_counter() - begun)
    idle.release()
    measured = False
    while True:
        begun = time.perf_counter()
        order = await work.post("/v1/next", {"slot": number})
        if order["order"] == "leave":
            break
        if order["order"] == "check":
            await work.post("/v1/passed", {"slot": number})
        if order["order"] != "run":
            continue
        if measured:
            times.next.append(time.perf_counter() - begun)
        measured = True
        assignment = order["assignment"]
        assert isinstance(assignment, dict)
        trial = {
            "slot": number,
            "number": assignment["number"],
            "attempt": assignment["attempt"],
        }
        beats = asyncio.create_task(beat(heart, trial))
        await asyncio.sleep(trial_s * random.uniform(0.5, 1.5))
        beats.cancel()
        heart.close()
        heart = Client(number, *address)
        begun = time.perf_counter()
        await work.post("/v1/report", {**trial, "outcome": OUTCOME})
        times.report.append(time.perf_counter() - begun)
    work.close()


@dataclass(frozen=True)
class Usage:
    """Use of the server's process."""

    threads: int
    rss: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read it."""
        status = Path(f"/proc/{pid}/status").read_text()
        values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls(
            int(values["Threads"]),
            int(values["VmRSS"].split()[0]) * 1024,
            (int(ticks[11]) + int(ticks[12])) / 100,
        )


def percentiles(seconds: Sequence[float]) -> str:
    """Return p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return " / ".join(
        f"{ordered[int(share * (len(ordered) - 1))] * 1000:.1f}" for share in (0.5, 0.99)
    )


async def measure(slots: int, trial_s: float, rounds: int, idle_s: float) -> float:
    """Measure a number of slots, and print a row; return the memory of an idle server."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=serve, args=(other, slots, slots * rounds))
    process.start()
    loop = asyncio.get_running_loop()
    address = await loop.run_in_executor(None, pipe.recv)
    assert process.pid is not None
    before = Usage.of(process.pid)
    times = Times()
    idle = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(slot(n, address, times, trial_s, idle)) for n in range(slots)]
    for _ in range(slots):
        await idle.acquire()
    await asyncio.sleep(1)
    begun = Usage.of(process.pid)
    await asyncio.sleep(idle_s)
    waiting = Usage.of(process.pid)
    pipe.send("submit")
    await asyncio.sleep(trial_s * rounds / 2)
    busy = Usage.of(process.pid)
    await asyncio.sleep(trial_s * rounds * 0.8)
    pipe.send("close")
    await asyncio.gather(*tasks)
    ended = Usage.of(process.pid)
    pipe.send("exit")
    process.join()
    mib = 1024 * 1024
    print(
        f"| {slots} | {waiting.threads} | {(waiting.rss - before.rss) / mib:.1f} | {(waiting.cpu_s - begun.cpu_s) / idle_s:.3f}"
        f" | {percentiles(times.hello)} | {busy.threads} | {(busy.rss - before.rss) / mib:.1f}"
        f" | {percentiles(times.next)} | {percentiles(times.report)} | {ended.cpu_s - waiting.cpu_s:.1f} |",
        flush=True,
    )
    return (busy.rss - before.rss) / mib


def main() -> None:
    """Measure each number of slots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--slots", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--trial-s", type=float, default=2.0, help="mean seconds of a trial")
    parser.add_argument("--rounds", type=int, default=5, help="trials of each slot")
    parser.add_argument(
        "--idle-s", type=float, default=12.0, help="seconds to watch idle slots for"
    )
    chosen = parser.parse_args()
    print(
        "| slots | idle: threads | MiB | cores | hello ms p50 / p99 | busy: threads | MiB | next ms | report ms | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    memory = [
        asyncio.run(measure(slots, chosen.trial_s, chosen.rounds, chosen.idle_s))
        for slots in chosen.slots
    ]
    first, last = memory[0], memory[-1]
    ratio = (last - first) / max(1, chosen.slots[-1] - chosen.slots[0])
    print(f"\nmemory a slot: {1024 * ratio:.1f} KiB")


if __name__ == "__main__":
    main()
