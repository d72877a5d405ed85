"""Trials on an NVIDIA GPU: each gets it whole, forked from a process that has imported a framework and never used one.

They are skipped on a machine without a GPU, and where PyTorch or JAX is missing; neither is among the project's own
dependencies. With both:

    PYTHONPATH=sdk:operator:trainer_image python -m pytest tests/trainer/slot/test_gpu_trials.py
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from sparksweep_core.api import TrialState
from support.trainer.stage import soon
from support.trainer.trial_rig import Rig

pytestmark = pytest.mark.skipif(
    shutil.which("nvidia-smi") is None, reason="no NVIDIA GPU on this machine"
)
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)
each_framework = pytest.mark.parametrize(
    "framework", [pytest.param("torch", marks=needs_torch), pytest.param("jax", marks=needs_jax)]
)

SOURCES = {
    "torch": """
        import torch

        def training(share):
            assert not torch.cuda.is_initialized()
            free, total = torch.cuda.mem_get_info()
            held = torch.zeros(int(share * total), dtype=torch.uint8, device="cuda")
            x = torch.ones(256, 256, device="cuda")
            return {"score": (x @ x).sum().item() + held[-1].item(), "free": free / total}
    """,
    "jax": """
        import os, subprocess
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        import jax.numpy as jnp

        def training(share):
            query = ["nvidia-smi", "--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits"]
            free, total = map(int, subprocess.check_output(query, text=True).split(","))
            held = jnp.zeros((int(share * total), 1 << 20), dtype=jnp.uint8)
            x = jnp.ones((256, 256))
            return {"score": float((x @ x).sum()) + float(held[-1, -1]), "free": free / total}
    """,
}
SCORE = 256.0**3


def memory_used() -> int:
    """MiB of the first GPU's memory that are in use."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.check_output(query, text=True).split()[0])


def gpu_rig(directory: Path, framework: str, source: str = "", **options: int) -> Rig:
    """Trials that have asked for a GPU, and whose fork server has imported the framework."""
    return Rig(
        directory, source or SOURCES[framework], parameters={"share": float}, memory="16Gi", gpus=1,
        preload=[framework], **options,
    )  # fmt: skip


def assert_given_back(before: int) -> None:
    """Assert that the GPU's memory is as free as before, but for rounding."""
    assert soon(lambda: memory_used() <= before + 64, timeout_s=10)


@each_framework
def test_every_trial_has_the_memory_that_the_one_before_it_had(
    tmp_path: Path, framework: str
) -> None:
    before = memory_used()
    with gpu_rig(tmp_path, framework) as rig:
        for number in (1, 2, 3):
            # More than half: two of them don't fit.
            metrics = rig.metrics(number=number, share="0.6")
            assert metrics["score"] == SCORE
            assert metrics["free"] > 0.9
        # The fork server is still there, and holds nothing.
        assert_given_back(before)


@each_framework
def test_a_trial_that_asks_for_too_much_fails_and_says_so_and_the_next_one_runs(
    tmp_path: Path, framework: str
) -> None:
    with gpu_rig(tmp_path, framework) as rig:
        outcome = rig.run(number=1, share="1.0")
        assert outcome.state is TrialState.FAILED
        assert "out of memory" in outcome.message.lower()
        assert rig.metrics(number=2, share="0.1")["score"] == SCORE


@needs_torch
def test_a_trial_that_is_stopped_while_it_computes_gives_the_gpu_back(tmp_path: Path) -> None:
    source = """
        import torch

        def training(share):
            x = torch.ones(8192, 8192, device="cuda")
            print("computing", flush=True)
            while True:
                x = x @ x
    """
    before = memory_used()
    with gpu_rig(tmp_path, "torch", source, termination_grace_period_seconds=0) as rig:
        outcome = rig.run_and_meanwhile(
            lambda stop: stop.set(), once=lambda: "computing" in rig.log(), share="0.1"
        )
        assert outcome.state is not TrialState.SUCCEEDED
        assert_given_back(before)


@each_framework
def test_a_trial_that_asks_for_no_gpu_sees_none(tmp_path: Path, framework: str) -> None:
    source = {
        "torch": """
            import torch

            def training():
                assert not torch.cuda.is_available()
                return torch.cuda.device_count()
        """,
        "jax": """
            import jax

            def training():
                return sum(device.platform == "gpu" for device in jax.devices())
        """,
    }[framework]
    with Rig(tmp_path, source, preload=[framework]) as rig:
        assert rig.metrics()["score"] == 0
