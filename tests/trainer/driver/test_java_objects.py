"""Spark's RPC takes the messages of executors, and no other Java object, even from those who know the secret."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark import SparkConf

from sparksweep._local.java import find_java, running_java
from sparksweep_core.api import Parameter, TrialSpec, TrialState, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver import serial_filter
from sparksweep_trainer.driver.spark import Driver, DriverSettings, filter_objects
from sparksweep_trainer.driver.trial_service import TrialService
from support.trainer.fake_api_server import eventually
from support.trainer.java_attacker import JavaAttacker, java_attacker
from support.trainer.recorded_trials import RecordedTrials

pytestmark = pytest.mark.spark

SOURCE = """
import time

def training(x):
    time.sleep(0.2)
    if x == 2:
        raise ValueError("no")
    return float(x)
"""
REJECTED = "filter status: REJECTED"


@dataclass
class Target:
    """A running driver, and what an attacker needs."""

    service: TrialService
    trials: RecordedTrials
    log: Path
    port: int
    secret: str
    attacker: JavaAttacker

    def send(self, message: Any) -> None:
        """Send an object as a one-way message."""
        self.attacker.endpoint(
            "127.0.0.1", self.port, secret=self.secret, name="HeartbeatReceiver"
        ).send(message)

    def rejections(self) -> int:
        return self.log.read_text(errors="replace").count(REJECTED)

    def has_rejected_more_than(self, count: int) -> bool:
        return self.rejections() > count

    def run(self, *numbers: int) -> list[str]:
        """Run trials, and return their states."""
        self.service.submit(
            [TrialSpec(number=number, parameters={"x": str(number)}) for number in numbers]
        )

        def states() -> list[str]:
            return [
                str(status.state) for status in self.trials.statuses if status.number in numbers
            ]

        done = {TrialState.SUCCEEDED.value, TrialState.FAILED.value}
        eventually(lambda: len(states()) == len(numbers) and set(states()) <= done, within_s=60)
        return states()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("objects")
    (directory / "train.py").write_text(SOURCE)
    parameter = Parameter(
        name="x",
        parameter_type=ParameterType.INT,
        feasible_space=FeasibleSpace(min="1", max="100"),
    )
    program = Program(
        experiment="digits",
        parameters=[parameter],
        trial_template=TrialTemplate(function="train:training"),
        trials_directory=str(directory / "trials"),
        search_path=[str(directory)],
    )
    trials = RecordedTrials()
    service = TrialService(program, record=trials.record, added=trials.added, slots=2)
    log = directory / "spark.log"
    with (
        running_java(find_java(), log) as java,
        java_attacker(find_java(), directory / "attacker.log", dict(os.environ)) as attacker,
    ):
        command = Path(f"/proc/{java.process.pid}/cmdline").read_text()
        settings = DriverSettings(
            app_name="x",
            master="local[2]",
            log_file=log,
            java=java,
            conf={"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"},
        )
        with Driver(service, settings) as driver:
            assert driver._context is not None
            assert driver._context._jvm is not None
            hadoop = driver._context._jvm.org.apache.hadoop
            user = hadoop.security.UserGroupInformation.getCurrentUser()
            secret = bytes(
                user.getCredentials().getSecretKey(hadoop.io.Text("sparkCookie"))
            ).decode()
            port = int(driver._context.getConf().get("spark.driver.port") or 0)
            assert len(secret) >= 32
            assert secret not in command
            yield Target(service, trials, log, port, secret, attacker)


def test_trials_run_and_fail_under_the_filter(target: Target) -> None:
    before = target.rejections()
    assert target.run(1, 2, 3).count("Failed") == 1
    assert target.rejections() == before


def test_every_object_but_a_message_is_refused_and_logged_and_trials_go_on(target: Target) -> None:
    for what, gadget in target.attacker.gadgets().items():
        before = target.rejections()
        target.send(gadget)
        if what == "an exception's URL":
            # Java's own exceptions are part of the messages of failed tasks.
            continue
        eventually(partial(target.has_rejected_more_than, before), within_s=10)
    assert target.run(11, 12, 13) == ["Succeeded"] * 3


@pytest.mark.parametrize("secret", [None, "a guess of the same length as it is"])
def test_without_the_secret_nothing_is_read(target: Target, secret: str | None) -> None:
    before = target.log.read_text(errors="replace")
    with pytest.raises(Py4JJavaError):
        target.attacker.endpoint("127.0.0.1", target.port, secret=secret, name="HeartbeatReceiver")
    time.sleep(0.2)
    assert REJECTED not in target.log.read_text(errors="replace")[len(before) :]
    assert target.run(*((21, 22) if secret else (31, 32))) == ["Succeeded"] * 2


ADMITTED = (
    "java.lang.Integer", "java.lang.String", "java.lang.StackTraceElement", "java.util.ArrayList",
    "scala.Some", "scala.collection.immutable.Map$Map2", "scala.collection.mutable.HashMap",
    "scala.collection.generic.DefaultSerializationProxy", "org.apache.spark.Heartbeat",
    "org.apache.spark.ExceptionFailure", "org.apache.spark.TaskKilled",
    "org.apache.spark.scheduler.cluster.CoarseGrainedClusterMessages$RegisterExecutor",
    "org.apache.spark.scheduler.cluster.k8s.GenerateExecID",
    "org.apache.spark.storage.BlockManagerMessages$RegisterBlockManager",
    "org.apache.spark.executor.ExecutorMetrics", "org.apache.spark.resource.ResourceProfile",
    "org.apache.spark.util.SerializableBuffer", "org.apache.spark.rpc.netty.NettyRpcEndpointRef",
)  # fmt: skip
TASKS_ONLY = (
    "java.lang.invoke.SerializedLambda", "java.util.HashMap", "java.util.Properties",
    "org.apache.spark.api.python.PythonRDD", "org.apache.spark.rdd.ParallelCollectionRDD",
    "org.apache.spark.broadcast.TorrentBroadcast", "scala.reflect.ClassTag",
)  # fmt: skip
REFUSED = (
    "java.net.URL", "java.net.InetAddress", "java.rmi.server.UnicastRemoteObject",
    "java.security.SignedObject", "java.lang.reflect.Proxy", "java.beans.EventHandler",
    "javax.management.BadAttributeValueExpException", "javax.swing.event.EventListenerList",
    "sun.reflect.annotation.AnnotationInvocationHandler",
    "com.sun.org.apache.xalan.internal.xsltc.trax.TemplatesImpl",
    "org.apache.commons.collections4.functors.InvokerTransformer",
    "org.apache.commons.collections4.comparators.TransformingComparator",
    "org.apache.commons.collections.functors.InvokerTransformer",
    "org.apache.commons.beanutils.BeanComparator", "org.apache.hadoop.fs.Path",
    "org.apache.hadoop.conf.Configuration",
    "org.apache.hadoop.shaded.com.google.common.collect.ImmutableMap",
    "com.zaxxer.hikari.HikariDataSource", "org.apache.derby.jdbc.ClientDataSource",
    "org.apache.spark.util.SerializableConfiguration", "org.apache.spark.util.SerializableJobConf",
    "scala.collection.immutable.LazyList$", "scala.collection.immutable.LazyList$SerializationProxy",
    "scala.sys.process.ProcessBuilderImpl$Simple", "scala.xml.Elem", "scala.io.Source",
    "org.codehaus.janino.SimpleCompiler", "org.codehaus.groovy.runtime.ConvertedClosure",
    "org.apache.spark.sql.catalyst.expressions.ScalaUDF", "org.apache.spark.deploy.Command",
    "org.apache.spark.ml.Pipeline", "org.apache.spark.rdd.HadoopRDD$", "py4j.Gateway",
    "org.apache.logging.log4j.core.impl.Log4jLogEvent", "io.fabric8.kubernetes.api.model.Pod",
    "com.fasterxml.jackson.databind.node.POJONode", "org.apache.xbean.propertyeditor.JndiConverter",
)  # fmt: skip


def admits(pattern: str, name: str) -> bool:
    """Return True if a pattern admits a class, by the rules of ``java.io.ObjectInputFilter.Config``."""
    for part in pattern.split(";"):
        if "=" in part:
            continue
        rule = part.removeprefix("!")
        if rule == "*":
            matches = True
        elif rule.endswith(".**"):
            matches = name.startswith(rule[:-2])
        elif rule.endswith(".*"):
            matches = name.rpartition(".")[0] == rule[:-2]
        elif rule.endswith("*"):
            matches = name.startswith(rule[:-1])
        else:
            matches = name == rule
        if matches:
            return not part.startswith("!")
    return True


@pytest.mark.parametrize("name", ADMITTED)
def test_messages_of_executors_are_admitted(name: str) -> None:
    assert admits(serial_filter.MESSAGES, name)
    assert admits(serial_filter.MESSAGES_AND_TASKS, name)


@pytest.mark.parametrize("name", TASKS_ONLY)
def test_tasks_are_admitted_only_where_they_run(name: str) -> None:
    assert not admits(serial_filter.MESSAGES, name)
    assert admits(serial_filter.MESSAGES_AND_TASKS, name)


@pytest.mark.parametrize("name", REFUSED)
def test_classes_that_run_code_while_they_are_read_are_refused(name: str) -> None:
    assert not admits(serial_filter.MESSAGES, name)
    if name not in ("org.apache.spark.rdd.HadoopRDD$",):
        assert not admits(serial_filter.MESSAGES_AND_TASKS, name)


def test_a_drivers_java_and_its_executors_get_their_filters() -> None:
    for master, own in (
        ("k8s://https://api", serial_filter.MESSAGES),
        ("local[2]", serial_filter.MESSAGES_AND_TASKS),
    ):
        conf = SparkConf(loadDefaults=False).set("spark.driver.extraJavaOptions", "-Xss512k")
        filter_objects(conf, master=master)
        assert conf.get("spark.driver.extraJavaOptions") == f"-Xss512k -Djdk.serialFilter={own}"
        given = conf.get("spark.executor.extraJavaOptions")
        assert given == f"-Djdk.serialFilter={serial_filter.MESSAGES_AND_TASKS}"
        assert "$(" not in own
        assert not set(own) & set(" '\"\\")
