"""The last release, as `scripts/last-release` has put it into the repository: its packages and its CRDs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "last-release"
CRDS = DATA / "crds"


def unpack(directory: Path) -> Path:
    """Unpack the wheel into a directory, which then goes into PYTHONPATH; return it."""
    (wheel,) = DATA.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def run_with(sources: Path | None, code: str, value: object) -> Any:
    """Run code in an interpreter that imports the packages in a folder.

    Args:
        sources: folder of packages that come before the installed ones; None: the installed ones.
        code: statements; ``value`` is theirs, and they set ``result``.
        value: JSON value given to the code.

    Returns:
        The JSON value ``result``.
    """
    program = f"import json, sys\nvalue = json.load(sys.stdin)\n{code}\nprint(json.dumps(result))\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(value),
        env={**os.environ, **({} if sources is None else {"PYTHONPATH": str(sources)})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
