"""The operator is alive while its loop runs, and ready once it has reconciled what existed at its start."""

from __future__ import annotations

import asyncio

import aiohttp

from sparksweep_operator.health import Readiness, serve_probes
from support.control_plane.operator_processes import free_port


def test_it_waits_for_each_experiment_that_existed_and_for_no_later_one() -> None:
    readiness = Readiness()
    assert readiness.obstacle() == "waiting for the CRDs"
    readiness.serves_crds()
    assert readiness.obstacle() == "listing the Experiments"
    readiness.reconciled("quick")
    readiness.exist(["quick", "slow", "deleted"])
    assert readiness.obstacle() == "2 Experiments have not been reconciled yet"
    readiness.exist(["quick", "slow", "later"])
    readiness.reconciled("slow")
    assert readiness.is_ready


def test_without_experiments_it_is_ready_once_they_are_listed() -> None:
    readiness = Readiness()
    readiness.serves_crds()
    assert not readiness.is_ready
    readiness.exist([])
    assert readiness.is_ready


def test_the_liveness_probe_succeeds_before_the_api_server_answers() -> None:
    async def answers() -> list[tuple[int, str]]:
        readiness, port = Readiness(), free_port()
        address = f"http://127.0.0.1:{port}"
        runner = await serve_probes(f"{address}/healthz", readiness.obstacle)
        results = []
        try:
            async with aiohttp.ClientSession() as session:
                for path in ("/healthz", "/readyz"):
                    async with session.get(address + path) as answer:
                        results.append((answer.status, await answer.text()))
                readiness.exist([])
                async with session.get(f"{address}/readyz") as answer:
                    results.append((answer.status, await answer.text()))
        finally:
            await runner.cleanup()
        return results

    assert asyncio.run(answers()) == [(200, "ok"), (503, "waiting for the CRDs"), (200, "ok")]
