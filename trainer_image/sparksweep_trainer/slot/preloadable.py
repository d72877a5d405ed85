"""The modules that are preloaded without being asked for, and the reasons. Runs no code of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

PRELOADABLE: Mapping[str, str] = {
    "numpy": "Threads of its BLAS are stopped before a fork and started again after it.",
    "scipy": "As numpy.",
    "pandas": "Imports pyarrow where that is installed.",
    "pyarrow": "Its allocator has a thread in the background, which both processes get anew.",
    "sklearn": "Its threads start with the first parallel region, not with the import.",
    "tensorflow": "Its thread pools and GPUs are set up by the first operation.",
    "keras": "As its backend: TensorFlow, PyTorch or NumPy.",
    "torch": "CUDA and the threads are set up by the first operation.",
    "xgboost": "As sklearn.",
    "lightgbm": "As sklearn.",
}
"""Packages whose import is safe to fork, with the reason.

An import belongs here if it takes a noticeable time, starts no thread that its own code can't restart after a fork, uses
no GPU, and reads no setting that differs between trials. Left out: jax, which warns of every fork; pyspark, whose import is
quick; transformers, datasets, matplotlib and ray, whose imports depend on the environment and on what else is installed.
"""

_FORKABLE_BACKENDS = ("tensorflow", "torch", "numpy")


def preloadable(names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return those of the modules that are safe to import before a fork, in the same order.

    Args:
        names: dotted names, attributes of modules among them.
        environment: the variables with which they would be imported; a file in HOME may name the backend of Keras.
    """
    chosen: dict[str, None] = {}
    for name in names:
        top = name.partition(".")[0]
        # TensorFlow makes tf.keras by importing keras when it is first used.
        if name.startswith("tensorflow.keras"):
            chosen["tensorflow"] = None
            if environment.get("TF_USE_LEGACY_KERAS", "0").lower() in ("0", "false", ""):
                name = top = "keras"
            else:
                continue
        if top in PRELOADABLE and (top != "keras" or _has_forkable_keras(environment)):
            chosen[name] = None
    return list(chosen)


def _has_forkable_keras(environment: Mapping[str, str]) -> bool:
    backend = environment.get("KERAS_BACKEND", "")
    if not backend:
        home = environment.get("KERAS_HOME") or str(Path(environment.get("HOME", "/")) / ".keras")
        try:
            settings = json.loads((Path(home) / "keras.json").read_bytes())
            backend = str(settings.get("backend", ""))
        except (OSError, ValueError, AttributeError):
            backend = ""
    return backend in ("", *_FORKABLE_BACKENDS)
