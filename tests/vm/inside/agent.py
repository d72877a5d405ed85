"""Runs commands that arrive over the machine's serial port: one JSON object a line in, one a line out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PORT = "sparksweep-agent"
"""Name of the serial port."""


def device(ports: Path = Path("/sys/class/virtio-ports")) -> Path:
    """Return the device of the serial port."""
    (port,) = (port for port in ports.iterdir() if (port / "name").read_text().strip() == PORT)
    return Path("/dev") / port.name


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one command; return its exit code, minus a signal's number, None past its time, and what it printed."""
    try:
        done = subprocess.run(
            request["command"],
            input=request.get("stdin", "").encode(),
            capture_output=True,
            check=False,
            timeout=request["timeout"],
        )
    except subprocess.TimeoutExpired as late:
        return {"code": None, "stdout": _text(late.stdout), "stderr": _text(late.stderr)}
    except OSError as error:
        return {"code": 127, "stdout": "", "stderr": str(error)}
    return {"code": done.returncode, "stdout": _text(done.stdout), "stderr": _text(done.stderr)}


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def main() -> None:
    """Serve until the port closes or a request asks for the end."""
    with device().open("r+b", buffering=0) as port:
        port.write(b'{"ready": true}\n')
        data = b""
        while True:
            data += port.read(1 << 16)
            line, newline, rest = data.partition(b"\n")
            if newline:
                data = rest
                request = json.loads(line)
                if request.get("end"):
                    return
                port.write(json.dumps(answer(request)).encode() + b"\n")


if __name__ == "__main__":
    main()
