"""A Java of somebody else who knows the secret of a Spark application: sends its driver any object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway

from sparksweep_trainer.driver.java_process import (
    JavaProcess,
    class_path,
    command_line,
    spark_home,
)


class JavaAttacker:
    """A gateway to a Java with Spark's class path and no filter."""

    def __init__(self, jvm: Any) -> None:
        self.jvm = jvm

    def endpoint(self, host: str, port: int, *, secret: str | None, name: str) -> Any:
        """Return a reference to an endpoint of a driver.

        Args:
            host: the driver's address.
            port: its RPC port.
            secret: the secret to authenticate with; None: without authentication.
            name: the endpoint, such as ``HeartbeatReceiver``.
        """
        conf = self.jvm.org.apache.spark.SparkConf(False)
        conf.set("spark.rpc.askTimeout", "5s").set("spark.rpc.lookupTimeout", "5s")
        conf.set("spark.network.timeout", "10s").set("spark.rpc.numRetries", "1")
        if secret is not None:
            conf.set("spark.authenticate", "true").set("spark.authenticate.secret", secret)
            conf.set("spark.network.crypto.enabled", "true")
        manager_type = self.jvm.org.apache.spark.SecurityManager
        entry = getattr(manager_type, "$lessinit$greater$default$3")()
        none = getattr(manager_type, "$lessinit$greater$default$2")()
        manager = manager_type(conf, none, entry)
        env = self.jvm.org.apache.spark.rpc.RpcEnv.create(
            "attacker", "127.0.0.1", "127.0.0.1", -1, conf, manager, 1, True
        )
        return env.setupEndpointRefByURI(f"spark://{name}@{host}:{port}")

    def gadgets(self) -> dict[str, Any]:
        """Return objects whose classes run code, or reach out, while or after they are read."""
        jvm = self.jvm
        url = jvm.java.util.HashMap()
        url.put(jvm.java.net.URI("http://127.0.0.1:9/").toURL(), 1)
        transformer = jvm.org.apache.commons.collections4.functors.ConstantTransformer("x")
        lazy = jvm.org.apache.commons.collections4.map.LazyMap.lazyMap(
            jvm.java.util.HashMap(), transformer
        )
        priority = jvm.java.util.PriorityQueue(
            2, jvm.org.apache.commons.collections4.comparators.ComparableComparator()
        )
        return {
            "a map with a URL": url,
            "a transformer": transformer,
            "a map that evaluates": lazy,
            "a queue with a comparator": priority,
            "an address": jvm.java.net.InetSocketAddress("127.0.0.1", 9),
            "a list of transformers": jvm.java.util.ArrayList([transformer]),
            "Hadoop's text": jvm.org.apache.hadoop.fs.Path("/etc/passwd"),
            "a hash set": jvm.java.util.HashSet([url]),
            "an exception's URL": jvm.java.io.IOException(
                "x", jvm.java.util.ServiceConfigurationError("y")
            ),
        }


@contextmanager
def java_attacker(java: Path, log: Path, environment: dict[str, str]) -> Iterator[JavaAttacker]:
    """Start it, and end it after the block."""
    process = JavaProcess(
        command_line(java, class_path(spark_home()), ["-Xmx256m", "-XX:TieredStopAtLevel=1"]),
        log_file=log,
        environment=environment,
    )
    try:
        connection = process.connection()
        assert connection is not None
        gateway = JavaGateway(
            gateway_parameters=GatewayParameters(
                port=connection.port, auth_token=connection.secret, auto_convert=True
            )
        )
        yield JavaAttacker(gateway.jvm)
        gateway.close()
    finally:
        process.close(2)
