"""Reports of each epoch of a Keras model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparksweep.keras import report_metrics


@pytest.mark.filterwarnings("default")
@pytest.mark.xdist_group("tensorflow")
def test_every_epoch_reports_its_losses_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    monkeypatch.setenv("SPARKSWEEP_TRIAL_DIR", str(tmp_path))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", metrics=["mae"])
    import numpy as np

    x = np.arange(8.0).reshape(8, 1)
    model.fit(x, x, epochs=2, validation_split=0.25, verbose=0, callbacks=[report_metrics()])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert set(lines[0]["metrics"]) == {"loss", "mae", "val_loss", "val_mae"}
