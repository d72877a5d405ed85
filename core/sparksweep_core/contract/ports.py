"""TCP ports that more than one program, or the chart, names. Imports nothing."""

from __future__ import annotations

TRIAL_SERVER_PORT = 7780
"""Trial server of a driver, which slots ask for trials. Fixed, so that a network policy can name it."""
VIEWER_PORT = 7781
"""Viewer of a driver's pod, on the pod's loopback address: reached by port forwarding only."""
METRICS_PORT = 7782
"""Metrics of a driver, for Prometheus."""
METRICS_PORT_NAME = "metrics"
"""Name of the ports for Prometheus, by which monitors select them."""
GATEWAY_PORT = 7783
"""Gateway to the viewers of a namespace, on its pod's loopback address: reached by port forwarding only."""
TENSORBOARD_PORT = 6006
"""TensorBoard of a driver's pod, and of the Service in front of it."""

SPARK_DRIVER_PORT = 7078
"""Port of Spark's driver, where executors register."""
SPARK_BLOCK_MANAGER_PORT = 7079
"""Port of the block manager of Spark's driver."""

OPERATOR_HEALTH_PORT = 8080
"""Liveness probe of the operator."""
OPERATOR_HEALTH_PATH = "/healthz"
"""Path of the operator's liveness probe."""
OPERATOR_READY_PATH = "/readyz"
"""Path of the operator's readiness probe."""
OPERATOR_METRICS_PORT = 8081
"""Metrics of the operator, as the chart starts it."""
