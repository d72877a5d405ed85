"""Pages of lists are read whatever the API server writes for none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sparksweep_operator.batch_pages import batches_of_page, read_head
from sparksweep_operator.kube import KubernetesClient

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
