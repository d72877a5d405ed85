"""The Spark session in front of Hops' calls: known by the function that follows it, whatever stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import MagicMock

import pytest

from sparksweep._hops_arguments import Form
from sparksweep.errors import InvalidCall

GRID = {"x": [1, 2]}
FORM = Form(
    order={"train_fn": None, "grid_dict": None, "direction": "max", "name": "no-name"},
    session_order=("train_fn", "grid_dict", "direction"),
    aliases={},
)


def training(x: int) -> int:
    return x


@pytest.mark.parametrize(
    "args",
    [
        (object(), training, GRID),
        (MagicMock(), training, GRID),
        ("spark", training, GRID),
        (None, training, GRID),
        ({"master": "yarn"}, training, GRID),
        (object(), "train:training", GRID),
        (training, GRID),
        ("train:training", GRID),
    ],
)
def test_the_function_and_the_grid_are_the_same_with_a_session_and_without(
    args: Sequence[object],
) -> None:
    call = FORM.bind("grid_search", args, {})
    assert call.arguments["train_fn"] in (training, "train:training")
    assert call.arguments["grid_dict"] is GRID


def test_a_function_given_twice_is_refused() -> None:
    with pytest.raises(InvalidCall, match="twice"):
        FORM.bind("grid_search", (training, GRID), {"train_fn": training})
