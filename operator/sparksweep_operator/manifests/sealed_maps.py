"""ConfigMaps that nobody but the operator can decide about: immutable, named by their content, sealed in the pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.contract.sealed_files import Seal, content_digest, sha256
from sparksweep_operator.manifests.names import owned_metadata


def sealed_config_map(
    experiment: Experiment, name: Callable[[str, str], str], data: Mapping[str, str]
) -> dict[str, Any]:
    """Return a ConfigMap of an Experiment's.

    One of other content has another name, so it is created and never changed. It is deleted with its Experiment.

    Args:
        experiment: its owner.
        name: returns its name, given the Experiment's and the digest of its content.
        data: the content of each key.
    """
    metadata = experiment.metadata
    digest = content_digest(metadata.uid or "", data)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owned_metadata(experiment, name(metadata.name, digest)),
        "immutable": True,
        "data": dict(data),
    }


def seal_of(config_map: Mapping[str, Any], paths: Mapping[str, str] | None = None) -> Seal:
    """Return the seal of a ConfigMap.

    Args:
        config_map: the ConfigMap.
        paths: the path of each key below the mount; absent: a key is its path.
    """
    return Seal(
        config_map=config_map["metadata"]["name"],
        hashes={
            key if paths is None else paths[key]: sha256(text.encode())
            for key, text in config_map["data"].items()
        },
    )
