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

from sparksweep_core import garbage
from sparksweep_core.contract.environment import PREFIX
from sparksweep_core.contract.ports import OPERATOR_HEALTH_PATH, OPERATOR_HEALTH_PORT
from sparksweep_operator.handlers import run_operator
from sparksweep_operator.settings import Settings

LOG_LEVELS = ("debug", "info", "warning", "error")
"""Values of the option ``--log-level`` and of the chart's ``logLevel``."""
LIVENESS = f"http://0.0.0.0:{OPERATOR_HEALTH_PORT}{OPERATOR_HEALTH_PATH}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="sparksweep-operator", description=main.__doc__)
    parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        help="namespace to watch (default: all); may be given more than once",
    )
    parser.add_argument(
        "--liveness",
        metavar="URL",
        default=LIVENESS,
        help=f"URL to serve the liveness probe at (default: {LIVENESS})",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="port to serve Prometheus metrics at (default: none)",
    )
    parser.add_argument(
        "--log-format",
        choices=["json", "text"],
        default="json",
        help="format of log lines (default: json)",
    )
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default="info",
        help="lowest level to log (default: info)",
    )
    options = parser.parse_args(arguments)
    _set_up_logs(options.log_format, options.log_level)
    settings = Settings.from_environment(os.environ)
    logging.getLogger("sparksweep_operator").info(
        "starting with %s, read from %s*", settings, PREFIX
    )
    # The first process of a container ignores signals that it has no handler for. kopf installs its own later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    garbage.collect_rarely()
    # Without a stop flag: kopf would wait 5 s at each end for the tasks that wait for one.
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
    # kopf logs a line for each call of a handler.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
