#!/usr/bin/env bash
# What the trainer image starts: the driver of an experiment, an executor or the viewer of it, or any other command as it is.
# Nothing stays between the container's runtime and the program: signals reach it, and its exit code is the container's.
set -euo pipefail

# A cluster may run this as a user that the image does not know. Hadoop's code in Spark stops at a user without a name,
# and a root file system that cannot be written to takes no entry; so the C library is shown one elsewhere.
name_user() {
    local directory
    ! id -un >/dev/null 2>&1 || return 0
    directory=$(mktemp -d)
    echo "sparksweep:x:$(id -u):$(id -g)::${HOME:-/tmp}:/usr/sbin/nologin" >"$directory/passwd"
    echo "sparksweep:x:$(id -g):" >"$directory/group"
    export NSS_WRAPPER_PASSWD=$directory/passwd NSS_WRAPPER_GROUP=$directory/group
    export LD_PRELOAD=libnss_wrapper.so
}

# Spark's own images start an executor like this; Spark hands everything over in the environment of the pod.
executor() {
    local options=() class_path=() index=0 option
    option=SPARK_JAVA_OPT_0
    while [[ -v $option ]]; do
        options+=("${!option}")
        index=$((index + 1))
        option=SPARK_JAVA_OPT_$index
    done
    # An empty element would be the working directory: programs would come from where trials write.
    for option in "${SPARK_CONF_DIR:-}" "${HADOOP_CONF_DIR:-}" "${SPARK_CLASSPATH:-}" "$SPARK_HOME/jars/*" \
        "${SPARK_EXTRA_CLASSPATH:-}" "${SPARK_DIST_CLASSPATH:-}"; do
        [[ -z $option ]] || class_path+=("$option")
    done
    # shellcheck disable=SC2054  # IFS joins them
    exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" "${options[@]}" \
        "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
        -cp "$(IFS=:; echo "${class_path[*]}")" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" \
        --executor-id "$SPARK_EXECUTOR_ID" \
        --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" \
        --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
        --podName "$SPARK_EXECUTOR_POD_NAME"
}

name_user
case ${1:-} in
driver)
    shift
    # Isolated: modules come from the image alone, whatever the directory and the environment hold.
    exec python -IBu -m sparksweep_trainer.kubernetes "$@"
    ;;
viewer)
    shift
    exec python -IBu -m sparksweep_trainer.viewer "$@"
    ;;
executor)
    executor
    ;;
'')
    echo "usage: driver [ARGUMENT...] | executor | viewer | COMMAND [ARGUMENT...]" >&2
    exit 64
    ;;
*)
    exec "$@"
    ;;
esac
