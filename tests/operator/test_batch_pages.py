"""Pages of lists are read whatever the API server writes for none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sparksweep_core.contract.annotations import ENDING_ANNOTATION, SEED_ANNOTATION
from sparksweep_core.validation.reading import VERSION_ANNOTATION
from sparksweep_operator.batch_pages import (
    batch_of_event,
    batches_of_page,
    read_body,
    read_event,
    read_head,
    read_page,
)
from sparksweep_operator.kube import KubernetesClient
from support.operator.operator_objects import batch_body

EMPTY = [b'{"metadata": {"resourceVersion": "7"}, "items": null}', b'{"metadata": {"resourceVersion": "7"}, "items": []}', b'{"metadata": {"resourceVersion": "7"}}']  # fmt: skip


@pytest.mark.parametrize("data", EMPTY)
def test_an_empty_page_has_no_batches(data: bytes) -> None:
    head = read_head(data)
    assert (head.version, head.continue_token, head.identities) == (7, "", ())
    assert batches_of_page(head, data) == []


@pytest.mark.parametrize("page", [{"metadata": {}, "items": None}, {"metadata": {}, "items": []}, {"metadata": {}}])  # fmt: skip
def test_a_list_of_metadata_without_objects_names_none(page: dict[str, Any]) -> None:
    class Client(KubernetesClient):
        async def _request(self, *_: Any, **__: Any) -> dict[str, Any]:
            return page

    client = Client()
    assert asyncio.run(client.experiment_keys(None)) == []
    assert asyncio.run(client.newest_batch("lab", "digits")) is None


STOP = {"reason": "ExperimentEnded", "message": "The budget is used up."}
NOTES: list[tuple[dict[str, str], bool, str]] = [
    ({}, True, ""),
    ({ENDING_ANNOTATION: "GoalReached"}, True, ""),
    # Without an order to stop it is a note that a reopened run has left.
    ({ENDING_ANNOTATION: "BudgetExhausted"}, False, ""),
    ({SEED_ANNOTATION: "0"}, True, ""),
    ({SEED_ANNOTATION: str(2**63 - 1)}, False, ""),
    (
        {ENDING_ANNOTATION: "BudgetExhausted"},
        True,
        '"BudgetExhausted" is no reason that this version knows',
    ),
    ({ENDING_ANNOTATION: ""}, True, "is no reason"),
    ({SEED_ANNOTATION: "philox:7"}, False, "is no integer"),
    ({SEED_ANNOTATION: "9" * 5000}, False, "is no integer"),
    ({SEED_ANNOTATION: "\u0663"}, False, "is no integer"),
    ({SEED_ANNOTATION: ""}, True, "is no integer"),
]


@pytest.mark.parametrize(("notes", "stopped", "problem"), NOTES, ids=lambda item: str(item)[:40])
def test_notes_of_a_later_planner_make_a_batch_unreadable_on_every_path(
    notes: dict[str, str], stopped: bool, problem: str
) -> None:
    """An older operator would continue an experiment that the later one has ended."""
    body = batch_body()
    body["metadata"]["annotations"] = {**notes, VERSION_ANNOTATION: "9.9.9"}
    body["spec"] |= {"stop": STOP} if stopped else {}
    page = json.dumps({"metadata": {"resourceVersion": "7"}, "items": [body]}).encode()
    event = json.dumps({"type": "MODIFIED", "object": body}).encode()
    identity = read_event(event).identity
    assert identity is not None
    for read in (read_page(page)[0], batch_of_event(identity, event), read_body(body)):
        assert (read.batch is None) == bool(problem), read.problem
        assert problem in read.problem
        if problem:
            assert "metadata.annotations[" in read.problem
            assert "9.9.9" in read.problem
