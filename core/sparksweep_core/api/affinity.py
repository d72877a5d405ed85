"""``spec.trialTemplate.affinity``: the nodes and pods that a trial's pod must or should be near, as in a pod's spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_atomic
from sparksweep_core.api.names import DnsLabel, LabelKey, LabelValue, ObjectName

INTEGER_PATTERN = r"^[0-9]{1,18}$"
"""Integers that Gt and Lt compare with: a label's value can't be negative."""

Weight = Annotated[int, Field(ge=1, le=100)]

_VALUES_FIT = cel(
    "(self.operator in ['Exists', 'DoesNotExist']) == (size(self.values) == 0)",
    "Exists and DoesNotExist take no values, the other operators need at least one",
    ".values",
)


class NodeExpression(Model):
    """A condition on one of a node's labels."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            _VALUES_FIT,
            cel(
                "!(self.operator in ['Gt', 'Lt'])"
                f" || (size(self.values) == 1 && self.values[0].matches('{INTEGER_PATTERN}'))",
                "Gt and Lt take exactly one value, an integer from 0",
                ".values",
            ),
        )
    )

    key: LabelKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """Comparison of the label's value with ``values``: In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: Annotated[list[LabelValue], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """Values to compare with: one or more for In and NotIn, one integer from 0 for Gt and Lt, none for the others."""


class NodeField(Model):
    """A condition on a field of a node. Kubernetes supports only its name."""

    key: Literal["metadata.name"]
    """Name of the field: metadata.name."""
    operator: Literal["In", "NotIn"]
    """In: the node has this name. NotIn: it has another one."""
    values: Annotated[list[ObjectName], list_atomic(min_length=1, max_length=1)]
    """Name of one node."""


class NodeSelectorTerm(Model):
    """Conditions, all of which a node must meet. A term without conditions matches no node."""

    match_expressions: Annotated[
        list[NodeExpression], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the node's labels."""
    match_fields: Annotated[
        list[NodeField], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the node's name."""


class NodeSelector(Model):
    """A set of nodes: all that match at least one of the terms."""

    node_selector_terms: Annotated[
        list[NodeSelectorTerm], list_atomic(min_length=1, max_length=limits.AFFINITY_TERMS)
    ]
    """Terms, at least one of which the node must match."""


class PreferredNodes(Model):
    """A preference for nodes, with a weight."""

    weight: Weight
    """Weight of the preference, from 1 to 100. The scheduler sums the weights that a node earns."""
    preference: NodeSelectorTerm
    """Conditions on the preferred nodes."""


class NodeAffinity(Model):
    """Rules about the nodes that a pod must or should run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pod must run on. It stays Pending until one of them has room."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredNodes], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Nodes that the scheduler prefers when they have room."""


class LabelExpression(Model):
    """A condition on one of a pod's labels."""

    model_config = ConfigDict(json_schema_extra=cel_rules(_VALUES_FIT))

    key: LabelKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Comparison of the label's value with ``values``: In, NotIn, Exists or DoesNotExist."""
    values: Annotated[list[LabelValue], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """Values to compare with: one or more for In and NotIn, none for Exists and DoesNotExist."""


class LabelSelector(Model):
    """Conditions on a pod's labels, all of which it must meet. An empty selector matches every pod."""

    match_labels: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = {}
    """Labels that the pod must have."""
    match_expressions: Annotated[
        list[LabelExpression], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the pod's labels."""


class PodAffinityTerm(Model):
    """Pods, and the topology domain, such as a node or a zone, within which another pod is near them."""

    label_selector: LabelSelector | None = None
    """Selector of the pods. Absent: no pods. Executors' pods carry the labels sparksweep.dev/experiment and sparksweep.dev/role."""
    topology_key: LabelKey
    """Node label that defines the domains, such as topology.kubernetes.io/zone: nodes with the same value are in one domain."""
    namespaces: Annotated[list[DnsLabel], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """Namespaces of the pods. Absent: the Experiment's namespace."""


class PreferredPods(Model):
    """A preference for being near other pods, or away from them, with a weight."""

    weight: Weight
    """Weight of the preference, from 1 to 100. The scheduler sums the weights that a node earns."""
    pod_affinity_term: PodAffinityTerm
    """The pods and the topology domain."""


class PodAffinity(Model):
    """Rules about the pods that a pod must or should be near."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that the pod must be near. It stays Pending until a node satisfies every term."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredPods], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that the scheduler prefers to place the pod near."""


class PodAntiAffinity(Model):
    """Rules about the pods that a pod must or should be away from."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that the pod must not be near. It stays Pending until a node satisfies every term."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredPods], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that the scheduler prefers to place the pod away from."""


class Affinity(Model):
    """Scheduling rules of a trial's pod, as ``affinity`` in a pod's spec."""

    node_affinity: NodeAffinity | None = None
    """Rules about the nodes to run on."""
    pod_affinity: PodAffinity | None = None
    """Rules about the pods to be near."""
    pod_anti_affinity: PodAntiAffinity | None = None
    """Rules about the pods to be away from."""
