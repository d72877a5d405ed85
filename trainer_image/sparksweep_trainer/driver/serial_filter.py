"""Classes that Spark's Java may create from what others send: patterns for the system property ``jdk.serialFilter``.

Spark's RPC is Java serialisation. Whoever knows an application's secret, and so every trial, may send the driver any
object of any class on its class path, and Java runs code of that class while it reads it. The patterns admit the
messages of executors, and refuse the rest: commons-collections, Hadoop, Hive, Derby, HikariCP, and Java's own maps, URLs
and proxies. They were found by logging the classes of runs with lost executors, failed tasks and slots that come and go.
"""

from __future__ import annotations

_LIMITS = (
    # Messages are a few levels deep and have arrays of 32 elements; a task's result may be 128 MiB.
    "maxdepth=100",
    "maxrefs=1000000",
    "maxarray=134217728",
    "maxbytes=268435456",
)
_REFUSED = (
    # Collections that evaluate functions when they are read.
    "!scala.collection.immutable.LazyList*",
    "!scala.collection.immutable.Stream*",
    # Hadoop's configuration reads files and class names.
    "!org.apache.spark.util.SerializableConfiguration",
    "!org.apache.spark.util.SerializableJobConf",
)
_MESSAGES = (
    "java.lang.*",
    "java.math.*",
    "java.io.*",
    "java.util.ArrayList",
    "java.util.Collections$*",
    "java.util.concurrent.TimeUnit",
    "scala.*",
    "scala.collection.*",
    "scala.collection.generic.*",
    "scala.collection.immutable.*",
    "scala.collection.mutable.*",
    "scala.concurrent.duration.*",
    "scala.math.*",
    "scala.runtime.ModuleSerializationProxy",
    "org.apache.spark.*",
    "org.apache.spark.api.python.PythonException",
    "org.apache.spark.executor.*",
    "org.apache.spark.resource.*",
    "org.apache.spark.rpc.**",
    "org.apache.spark.scheduler.**",
    "org.apache.spark.storage.*",
    "org.apache.spark.util.*",
)
_TASKS = (
    "java.lang.invoke.SerializedLambda",
    "java.util.*",
    "java.util.concurrent.locks.*",
    "scala.reflect.*",
    "scala.runtime.**",
    "org.apache.spark.api.**",
    "org.apache.spark.broadcast.*",
    "org.apache.spark.internal.**",
    "org.apache.spark.rdd.*",
)


def _pattern(*admitted: str) -> str:
    return ";".join((*_LIMITS, *_REFUSED, *admitted, "!*"))


MESSAGES = _pattern(*_MESSAGES)
"""Pattern for a driver whose executors are other processes: their messages."""
MESSAGES_AND_TASKS = _pattern(*_MESSAGES, *_TASKS)
"""Pattern for a Java that runs tasks, too: an executor's, and the only one of a local run."""


def java_option(pattern: str) -> str:
    """Return the option that starts a Java with a pattern. It has neither blanks nor quotes."""
    return f"-Djdk.serialFilter={pattern}"
