"""The operator's process: ``python -m sparksweep_operator``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from pythonjsonlogger.json import JsonFormatter

from sparksweep_core.contract.environment import PREFIX
from sparksweep_core.contract.ports import OPERATOR_HEALTH_PATH, OPERATOR_HEALTH_PORT
from sparksweep_operator.handlers import run_operator
from sparksweep_operator.settings import Settings

LIVENESS = f"http://0.0.0.0:{OPERATOR_HEALTH_PORT}{OPERATOR_HEALTH_PATH}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser(prog="sparksweep-operator", description=main.__doc__)
    parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        help="look here only, and not everywhere; may be given more than once",
    )
    parser.add_argument("--liveness", default=LIVENESS, help=f"URL of the probe ({LIVENESS})")
    parser.add_argument(
        "--metrics-port", type=int, help="port to serve Prometheus' metrics at; none without it"
    )
    parser.add_argument("--log-format", choices=["json", "text"], default="json")
    parser.add_argument("--log-level", choices=["debug", "info", "warning"], default="info")
    options = parser.parse_args(arguments)
    _set_up_logs(options.log_format, options.log_level)
    settings = Settings.from_environment(os.environ)
    logging.getLogger("sparksweep_operator").info("starting with %s, from %s*", settings, PREFIX)
    # A process that is a container's first heeds no signal by itself. Once kopf runs, it ends on them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # To also give it an event of ours would cost each end the 5 s it waits for whoever waits.
    operator = run_operator(
        settings,
        namespaces=options.namespace,
        liveness=options.liveness,
        metrics_port=options.metrics_port,
    )
    asyncio.run(operator)
    return 0


def _set_up_logs(form: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    if form == "json":
        fields = {"levelname": "level", "asctime": "time", "name": "logger"}
        handler.setFormatter(
            JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields)
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf logs each handler's call as an object's own line.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
