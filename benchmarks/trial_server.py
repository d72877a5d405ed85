"""Benchmark: the trial server with many slots, idle and busy: its threads, its memory and its answers.

    python benchmarks/trial_server.py [--slots 10 100 1000] [--trial-s 2] [--rounds 5] [--tls] [--generators 2]

The server runs in a process of its own, with a real ledger. Each simulated slot has the connections of a real one: one for
work, and one for the heartbeat of its trial. Idle slots all wait for a trial (long polling); then each runs trials of
`--trial-s` seconds, in which it only waits.

The slots are simulated in other processes, whose use of the processor is printed: where it is near a core for each, or the machine is
busy, `next` and `report` measure them. `server` is the server's own part: for each connection that had become ready, the time until
the server's thread had served all that were ready with it; and the processor time of the same, which no other process
lengthens. The last lines are the memory that each further slot
takes, and the ratio of the server's p99 with the most slots to that with the fewest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

from sparksweep_core import garbage
from sparksweep_core.api import Parameter, TrialReason, TrialSpec, TrialState, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.run_certificate import RunCertificate
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.http_server.tls import client_context

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


class TimedSelector(selectors.DefaultSelector):
    """Measures the turns of the server's thread: from the moment at which connections were ready, until they were served."""

    turns: ClassVar[list[tuple[float, float, int]]] = []
    """Seconds of each turn, those of the processor, and the number of connections."""
    _begun = (0.0, 0.0)
    _ready = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Note the last turn, and wait for the next one."""
        if self._ready:
            begun, cpu_begun = self._begun
            turn = (time.perf_counter() - begun, time.thread_time() - cpu_begun, self._ready)
            self.turns.append(turn)
        ready = super().select(timeout)
        self._begun, self._ready = (time.perf_counter(), time.thread_time()), len(ready)
        return ready


def serve(pipe: Connection, slots: int, trials: int, tls: bool) -> None:
    """Run the server until the other end of the pipe is closed."""
    selectors.DefaultSelector = TimedSelector  # type: ignore[misc]
    garbage.collect_rarely()  # As a driver does.
    service = TrialService(PROGRAM, slots=slots)
    certificate = RunCertificate.make() if tls else None
    server = TrialServer(service, certificate=certificate)
    tokens = [server.token(slot) for slot in range(slots)]
    pipe.send(Address(server.port, tokens, certificate.text if certificate else None))
    while (order := pipe.recv()) != "close":
        if order == "submit":
            service.submit(TrialSpec(number=n, parameters={"x": "1"}) for n in range(1, trials + 1))
        TimedSelector.turns.clear()
        finished = service.tally.counts.succeeded
    turns = list(TimedSelector.turns)
    pipe.send(service.tally.counts.succeeded - finished)
    service.close()
    for kind in (0, 1):
        pipe.send([turn[kind] for turn in turns for _ in range(turn[2])])
    pipe.recv()
    server.close()


@dataclass(frozen=True)
class Address:
    """Everything that slots need to reach the server."""

    port: int
    tokens: list[str]
    certificate: str | None


@dataclass
class Times:
    """Seconds between requests and their answers."""

    hello: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)


class Client:
    """One kept-alive connection."""

    def __init__(self, number: int, address: Address) -> None:
        self._port, self._token = address.port, address.tokens[number]
        self._tls = address.certificate and client_context(address.certificate)
        self._node = f"127.0.1.{1 + number // SLOTS_A_NODE}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Send a request and return the answer; try again, as slots do, if the server has closed the connection."""
        while True:
            try:
                return await self._post(path, body)
            except (OSError, asyncio.IncompleteReadError):
                self.close()
                self._streams = None
                await asyncio.sleep(random.random())

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(self._node, 0), ssl=self._tls or None
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
    """Send heartbeats until the trial is over."""
    while (await client.post("/v1/heartbeat", body))["order"] == "continue":
        pass


async def slot(
    number: int, address: Address, times: Times, trial_s: float, idle: asyncio.Semaphore
) -> None:
    """Run trials until the server lets the slot leave."""
    work, heart = Client(number, address), Client(number, address)
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
        begun = time.perf_counter()
        await work.post("/v1/report", {**trial, "outcome": OUTCOME})
        times.report.append(time.perf_counter() - begun)
        await beats
    work.close()
    heart.close()


def generate(pipe: Connection, slots: Sequence[int], address: Address, trial_s: float) -> None:
    """Simulate slots until all of them have left."""
    garbage.collect_rarely()
    asyncio.run(_generate(pipe, slots, address, trial_s))


async def _generate(
    pipe: Connection, slots: Sequence[int], address: Address, trial_s: float
) -> None:
    times, idle = Times(), asyncio.Semaphore(0)
    tasks = [asyncio.create_task(slot(n, address, times, trial_s, idle)) for n in slots]
    for _ in slots:
        await idle.acquire()
    pipe.send("idle")
    await asyncio.gather(*tasks)
    pipe.send(times)


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


@dataclass(frozen=True)
class Load:
    """Kind of the load."""

    trial_s: float
    rounds: int
    idle_s: float
    tls: bool
    generators: int


def measure(slots: int, load: Load) -> tuple[float, float]:
    """Measure a number of slots, and print a row; return the MiB of a busy server, and its p99 in seconds of the processor."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    server = context.Process(target=serve, args=(other, slots, slots * load.rounds, load.tls))
    server.start()
    address = pipe.recv()
    assert server.pid is not None
    before = Usage.of(server.pid)
    generators = []
    for first in range(load.generators):
        mine, its = context.Pipe()
        numbers = range(first, slots, load.generators)
        process = context.Process(target=generate, args=(its, numbers, address, load.trial_s))
        process.start()
        generators.append((process, mine))
    for _, mine in generators:
        mine.recv()
    time.sleep(1)
    begun = Usage.of(server.pid)
    time.sleep(load.idle_s)
    waiting = Usage.of(server.pid)
    pipe.send("submit")
    # All slots start at once, which no run on a cluster does: measured from the second trial of each.
    time.sleep(2 * load.trial_s)
    pipe.send("measure")
    used = [Usage.of(process.pid).cpu_s for process, _ in generators if process.pid]
    busy = Usage.of(server.pid)
    duration_s = load.trial_s * (load.rounds - 3)
    time.sleep(duration_s)
    ended = Usage.of(server.pid)
    used = [
        (Usage.of(process.pid).cpu_s - cpu_s) / duration_s
        for (process, _), cpu_s in zip(generators, used, strict=True)
        if process.pid
    ]
    pipe.send("close")
    trials: int = pipe.recv()
    served: list[float] = pipe.recv()
    computed: list[float] = pipe.recv()
    times = Times()
    for process, mine in generators:
        part = mine.recv()
        for name in ("hello", "next", "report"):
            getattr(times, name).extend(getattr(part, name))
        process.join()
    pipe.send("exit")
    server.join()
    mib = 1024 * 1024
    print(
        f"| {slots} | {waiting.threads} | {(waiting.rss - before.rss) / mib:.1f} | {(waiting.cpu_s - begun.cpu_s) / load.idle_s:.3f}"
        f" | {percentiles(times.hello)} | {busy.threads} | {(busy.rss - before.rss) / mib:.1f} | {percentiles(served)} | {percentiles(computed)}"
        f" | {trials / duration_s:.0f} | {1000 * (ended.cpu_s - busy.cpu_s) / max(1, trials):.2f} | {percentiles(times.next)}"
        f" | {percentiles(times.report)} | {' + '.join(f'{share:.2f}' for share in used)} |",
        flush=True,
    )
    return (busy.rss - before.rss) / mib, sorted(computed)[int(0.99 * (len(computed) - 1))]


def main() -> None:
    """Measure each number of slots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--slots", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--trial-s", type=float, default=2.0, help="mean seconds of a trial")
    parser.add_argument("--rounds", type=int, default=10, help="trials of each slot")
    parser.add_argument(
        "--idle-s", type=float, default=12.0, help="seconds to watch idle slots for"
    )
    parser.add_argument("--tls", action="store_true", help="as on a cluster")
    parser.add_argument("--generators", type=int, default=2, help="processes that simulate slots")
    chosen = parser.parse_args()
    load = Load(chosen.trial_s, chosen.rounds, chosen.idle_s, chosen.tls, chosen.generators)
    print(
        "| slots | idle: threads | MiB | cores | hello ms p50 / p99 | busy: threads | MiB | server ms p50 / p99 | of the processor | trials a second | CPU ms a trial"
        " | next ms | report ms | generators: cores |"
    )
    print("|" + "---|" * 14)
    rows = [measure(slots, load) for slots in chosen.slots]
    ratio = (rows[-1][0] - rows[0][0]) / max(1, chosen.slots[-1] - chosen.slots[0])
    print(f"\nmemory a slot: {1024 * ratio:.1f} KiB")
    print(
        f"server's p99, {chosen.slots[-1]} to {chosen.slots[0]} slots: {rows[-1][1] / rows[0][1]:.1f}"
    )


if __name__ == "__main__":
    main()
