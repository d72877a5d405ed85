"""The seed of a search: given in the spec, else drawn once for each Experiment and recorded.

The algorithms are functions of the spec, so a drawn seed is passed to them as if the spec had it. Each batch carries it
in an annotation: batches are written before the status, and a planner that starts between the two writes must go on with
the same sequence.
"""

from __future__ import annotations

from hashlib import blake2b

from sparksweep_core.api import AlgorithmSetting, Experiment, ExperimentSpec
from sparksweep_core.api.algorithm_settings import DEFAULT_SEED, given_seed, has_seed
from sparksweep_core.contract.annotations import SEED_ANNOTATION
from sparksweep_core.history import Summary

SEED_BYTES = 4
"""Size of a drawn seed: short enough to be read and typed."""


def seed_of(experiment: Experiment, summary: Summary) -> int | None:
    """Return the seed of an experiment's search; None if its algorithm has none. The summary is that of its batches.

    The first that exists: the seed of the spec, the one that a batch or the status records, that of versions which
    recorded none (0) if there are batches, one that follows from the UID, 0.
    """
    algorithm = experiment.spec.algorithm
    if not has_seed(algorithm):
        return None
    given = given_seed(algorithm)
    if given is not None:
        return given
    if summary.seed is not None:
        return int(summary.seed.text)
    if experiment.status is not None and experiment.status.seed is not None:
        return experiment.status.seed
    uid = experiment.metadata.uid
    if summary.batches or uid is None:
        return DEFAULT_SEED
    return int.from_bytes(blake2b(uid.encode(), digest_size=SEED_BYTES).digest(), "big")


def with_seed(spec: ExperimentSpec, seed: int | None) -> ExperimentSpec:
    """Return the spec with the seed among the settings of its algorithm, unless it has one already."""
    if seed is None or given_seed(spec.algorithm) is not None:
        return spec
    setting = AlgorithmSetting(name="seed", value=str(seed))
    settings = [*spec.algorithm.algorithm_settings, setting]
    algorithm = spec.algorithm.model_copy(update={"algorithm_settings": settings})
    return spec.model_copy(update={"algorithm": algorithm})


def seed_annotation(seed: int | None) -> dict[str, str] | None:
    """Return the annotations of a new batch."""
    return None if seed is None else {SEED_ANNOTATION: str(seed)}
