"""Documents that must pass: Katib's examples, the README's kind, and the least that can be written."""

from __future__ import annotations

from typing import Any

from support.documents.experiments_for_checks import COMMAND, FUNCTION, REMOVED, changed

KATIB_GRID = """
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata:
  namespace: kubeflow
  name: grid
spec:
  objective:
    type: minimize
    goal: 0.001
    objectiveMetricName: loss
  algorithm:
    algorithmName: grid
  parallelTrialCount: 3
  maxTrialCount: 12
  maxFailedTrialCount: 3
  parameters:
    - name: lr
      parameterType: double
      feasibleSpace:
        min: "0.01"
        step: "0.005"
        max: "0.05"
    - name: momentum
      parameterType: double
      feasibleSpace:
        min: "0.5"
        step: "0.1"
        max: "0.9"
  trialTemplate:
    trialParameters:
      - name: learningRate
        description: Learning rate for the training model
        reference: lr
      - name: momentum
        description: Momentum for the training model
        reference: momentum
    command:
      - "python3"
      - "/opt/pytorch-mnist/mnist.py"
      - "--epochs=1"
      - "--batch-size=16"
      - "--lr=${trialParameters.learningRate}"
      - "--momentum=${trialParameters.momentum}"
"""
"""The blocks are those of Katib's grid.yaml; its container's command has become the template's."""

KATIB_RANDOM = (
    KATIB_GRID.replace("name: grid", "name: random")
    .replace("algorithmName: grid", "algorithmName: random")
    .replace('        step: "0.005"\n', "")
    .replace('        step: "0.1"\n', "")
    + '    resources: {memory: "1Gi", cpu: "0.5"}\n'
)

EVOLUTION = """
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: digits}
spec:
  objective: {type: maximize, objectiveMetricName: accuracy, goal: 0.99, additionalMetricNames: [loss]}
  algorithm:
    algorithmName: differential-evolution
    algorithmSettings: [{name: population, value: "10"}, {name: generations, value: "8"}, {name: seed, value: "7"}]
  parameters:
  - {name: learning_rate, parameterType: double, feasibleSpace: {min: "0.0001", max: "0.1", distribution: logUniform}}
  - {name: dropout, parameterType: double, feasibleSpace: {min: "0.2", max: "0.7"}}
  parallelTrialCount: 4
  maxFailedTrialCount: 5
  trialTemplate:
    image: registry.example/trainer:1
    function: train:training
    source: {inline: "def training(learning_rate, dropout): return 1"}
    resources: {cpu: "2", memory: 4Gi, gpu: {count: 1, resourceName: nvidia.com/gpu}}
    nodeSelector: {accelerator: nvidia-a100, example.org/pool: ""}
    tolerations:
    - {operator: Exists}
    - {key: nvidia.com/gpu, value: "yes", effect: NoExecute, tolerationSeconds: 30}
    env: [{name: OMP_NUM_THREADS, value: "2"}, {name: EMPTY}, {name: SPARKSWEEP_PROJECT_PATH, value: /data}]
    timeoutSeconds: 3600
    maxRetries: 1
    preload: [tensorflow]
"""

POD = """
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: pod}
spec:
  algorithm: {algorithmName: grid}
  parameters: [{name: x, parameterType: categorical, feasibleSpace: {list: [a]}}]
  trialTemplate:
    function: "m:f"
    image: registry.example/trainer:1
    imagePullPolicy: IfNotPresent
    imagePullSecrets: [{name: registry.example}, {name: other}]
    priorityClassName: high.priority
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
          - matchExpressions:
            - {key: example.org/pool, operator: In, values: [training, ""]}
            - {key: example.org/pool, operator: NotIn, values: [web]}
            - {key: accelerator, operator: Exists}
            - {key: spot, operator: DoesNotExist, values: []}
            - {key: cores, operator: Gt, values: ["15"]}
            - {key: cores, operator: Lt, values: ["00129"]}
            matchFields: [{key: metadata.name, operator: NotIn, values: [node-1.example.org]}]
          - {}
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 1, preference: {matchExpressions: [{key: zone, operator: In, values: [a]}]}}
        - {weight: 100, preference: {}}
      podAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
        - {topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: cache}}, namespaces: [data, data]}
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 50, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {}}}
      podAntiAffinity:
        requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]
        preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 10
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchExpressions:
              - {key: sparksweep.dev/experiment, operator: In, values: [pod]}
              - {key: sparksweep.dev/role, operator: NotIn, values: [driver]}
              - {key: a, operator: Exists}
              - {key: b, operator: DoesNotExist}
    env:
    - {name: A, value: ""}
    - {name: B, value: "", valueFrom: {secretKeyRef: {name: tokens, key: b}}}
    - {name: C, valueFrom: {secretKeyRef: {name: tokens, key: .c_-1, optional: true}}}
    - {name: D, valueFrom: {configMapKeyRef: {name: settings, key: d, optional: false}}}
    volumes:
    - {name: data, mountPath: /mnt/data, persistentVolumeClaim: {claimName: data.1}, subPath: train/a..b, readOnly: true}
    - {name: settings, mountPath: /etc/settings, configMap: {name: settings, optional: true}}
    - {name: tokens, mountPath: /mnt/data/.tokens, secret: {secretName: tokens}}
    - {name: cache, mountPath: /tmpfs, emptyDir: {}}
    - {name: "0", mountPath: /opt/venv2/..a/ö x, emptyDir: {sizeLimit: 1.5Gi, medium: Memory}}
    - {name: spark-data, mountPath: /opt/sparksweep-data, emptyDir: {sizeLimit: "1"}}
"""
"""Every field of a trial's pod."""

LEAST = """
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: a}
spec:
  algorithm: {algorithmName: grid}
  parameters: [{name: x, parameterType: categorical, feasibleSpace: {list: [a]}}]
  trialTemplate: {function: "m:f"}
"""

TEXTS = {
    "katib-grid": KATIB_GRID,
    "katib-random": KATIB_RANDOM,
    "evolution": EVOLUTION,
    "pod": POD,
    "least": LEAST,
}

TEMPLATE = "spec.trialTemplate"
LR = "spec.parameters[0].feasibleSpace"
NO_END: dict[str, object] = {"spec.maxTrialCount": REMOVED}

CHANGED: dict[str, dict[str, Any]] = {
    "random-until-goal": changed(FUNCTION, {**NO_END, "spec.objective.goal": 1}),
    "random-until-deadline": changed(FUNCTION, {**NO_END, "spec.activeDeadlineSeconds": 60}),
    "random-without-objective": changed(FUNCTION, {"spec.objective": REMOVED}),
    "objective-is-null": changed(FUNCTION, {"spec.objective": None}),
    "metrics-in-any-alphabet": changed(
        FUNCTION,
        {
            "spec.objective.objectiveMetricName": "metrics/mAP50-95(B)",
            "spec.objective.additionalMetricNames": [
                "val acc",
                "précision",
                "损失",
                "it's",
                "AP[.5:.95]",
            ],
            "spec.objective.metricStrategies": [{"name": "val acc", "value": "latest"}],
        },
    ),
    "metrics-with-colons": changed(COMMAND, {f"{TEMPLATE}.metricsFormat": "EqualsOrColon"}),
    "katibs-seed": changed(
        FUNCTION, {"spec.algorithm.algorithmSettings": [{"name": "random_state", "value": "3"}]}
    ),
    "step-as-wide-as-the-range": changed(FUNCTION, {f"{LR}.step": "0.4"}),
    "step-by-decimals-not-doubles": changed(
        FUNCTION, {LR: {"min": "0.1", "max": "0.3", "step": "0.2"}}
    ),
    "numbers-in-every-notation": changed(FUNCTION, {LR: {"min": "-.5e-3", "max": "+1.E2"}}),
    "normal-below-zero": changed(
        FUNCTION, {LR: {"min": "-1", "max": "1", "distribution": "normal"}}
    ),
    "largest-grid": changed(
        FUNCTION,
        {
            **NO_END,
            "spec.algorithm.algorithmName": "grid",
            "spec.parameters": [
                {
                    "name": "x",
                    "parameterType": "int",
                    "feasibleSpace": {"min": "1", "max": "1000000"},
                }
            ],
        },
    ),
    "largest-evolution": changed(
        FUNCTION,
        {
            **NO_END,
            "spec.algorithm": {
                "algorithmName": "differential-evolution",
                "algorithmSettings": [
                    {"name": "population", "value": "10000"},
                    {"name": "generations", "value": "100"},
                ],
            },
        },
    ),
    "evolution-between-reversed-bounds": changed(
        FUNCTION,
        {
            "spec.algorithm.algorithmName": "differential-evolution",
            "spec.parameters[0].feasibleSpace": {
                "min": "0.1",
                "max": "0.001",
                "distribution": "logUniform",
            },
        },
    ),
    "random-between-reversed-bounds": changed(
        FUNCTION,
        {
            "spec.algorithm": {"algorithmName": "random"},
            "spec.parameters[0].feasibleSpace": {"min": "0.1", "max": "0.001"},
        },
    ),
    "grid-between-reversed-bounds": changed(
        FUNCTION,
        {
            "spec.algorithm": {"algorithmName": "grid"},
            "spec.parameters[0].feasibleSpace": {"min": "0.5", "max": "0.1", "step": "0.1"},
        },
    ),
    "more-slots-than-trials": changed(
        FUNCTION, {"spec.parallelTrialCount": 11, "spec.maxTrialCount": 10}
    ),
    "default-slots-of-two-trials": changed(
        FUNCTION, {"spec.parallelTrialCount": REMOVED, "spec.maxTrialCount": 2}
    ),
    "names-in-other-alphabets": changed(
        FUNCTION,
        {
            "spec.parameters[0].name": "gr\u00f6\u00dfe",
            "spec.parameters[1].name": "\u5b66\u7fd2\u7387",
        },
    ),
    "failures-allowed-up-to-all": changed(FUNCTION, {"spec.maxFailedTrialCount": 10}),
    "longest-name": changed(FUNCTION, {"metadata.name": "a" + "-0" * 19 + "b"}),
    "servers-metadata": changed(
        FUNCTION,
        {"metadata.creationTimestamp": None, "metadata.managedFields": [{"manager": "kubectl"}]},
    ),
    "timeout-beyond-deadline": changed(
        FUNCTION, {"spec.activeDeadlineSeconds": 60, f"{TEMPLATE}.timeoutSeconds": 3600}
    ),
    "config-map-of-a-function": changed(
        FUNCTION, {f"{TEMPLATE}.source": {"configMap": {"name": "code", "key": "train.py"}}}
    ),
    "affinity-of-nothing": changed(
        FUNCTION,
        {f"{TEMPLATE}.affinity": {"nodeAffinity": {}, "podAffinity": {}, "podAntiAffinity": None}},
    ),
    "stored-elsewhere-without-tensorboard": changed(
        FUNCTION,
        {
            "spec.tensorboard.enabled": False,
            "spec.storage": {
                "persistentVolumeClaim": {"claimName": "runs"},
                "sizeLimit": "500Mi",
                "uri": "s3://bucket/experiments?region=eu-central-1",
                "secretName": "keys",
            },
        },
    ),
    "suspended-from-the-start-and-deleted-at-its-end": changed(
        FUNCTION,
        {
            "spec.suspend": True,
            "spec.ttlSecondsAfterFinished": 0,
            f"{TEMPLATE}.terminationGracePeriodSeconds": 0,
        },
    ),
    "small-command": changed(COMMAND, {f"{TEMPLATE}.resources": {"memory": "16Mi", "cpu": "10m"}}),
    "every-placeholder": changed(
        COMMAND,
        {
            f"{TEMPLATE}.source.inline": "print('loss=1')",
            f"{TEMPLATE}.command[1]": "${trialSource}",
            f"{TEMPLATE}.command[4]": "--name=${trialSpec.Name},${trialParameters.layers}",
        },
    ),
    "parameters-as-placeholders": changed(
        COMMAND, {TEMPLATE: {"command": ["echo", "loss=${trialParameters.lr}", "$HOME ${x} $${y"]}}
    ),
    "parameter-that-no-argument-is": changed(
        COMMAND,
        {"spec.parameters[2].name": "learning-rate.2", f"{TEMPLATE}.command[4]": "a"},
    ),
}
