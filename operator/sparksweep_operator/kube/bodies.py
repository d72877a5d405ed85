"""Documents that the operator sends to the API server, without those that the manifests make. Pure."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import API_VERSION, Experiment, TrialBatch
from sparksweep_core.contract.labels import experiment_selector
from sparksweep_core.contract.names import OPERATOR_MANAGER
from sparksweep_core.validation.reading import VERSION_ANNOTATION, own_version
from sparksweep_operator.events import Event

_METADATA = ("name", "namespace", "labels", "annotations", "ownerReferences")
"""Metadata of a batch that the operator decides."""


def batch_body(batch: TrialBatch) -> dict[str, Any]:
    """Return a batch without its status, which is the driver's, and with this version as the one that wrote it."""
    document = batch.to_dict()
    document.pop("status", None)
    metadata = {key: document["metadata"][key] for key in _METADATA if key in document["metadata"]}
    metadata["annotations"] = {
        **metadata.get("annotations", {}),
        VERSION_ANNOTATION: own_version(),
    }
    return {**document, "metadata": metadata}


def event_body(experiment: Experiment, event: Event, *, moment: str, name: str) -> dict[str, Any]:
    """Return the Event object of an event about an Experiment.

    Args:
        experiment: the Experiment.
        event: the event.
        moment: its time, in RFC 3339 with seconds.
        name: name of the Event object.
    """
    metadata = experiment.metadata
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": metadata.namespace,
            "labels": experiment_selector(metadata.name),
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "Experiment",
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": OPERATOR_MANAGER},
        "reportingComponent": OPERATOR_MANAGER,
    }
