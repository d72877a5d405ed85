"""Which nodes a trial's pod wants, and beside which pods: ``spec.trialTemplate.affinity``, as in a pod's spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_atomic
from sparksweep_core.api.names import DnsLabel, LabelKey, LabelValue, ObjectName

INTEGER_PATTERN = r"^[0-9]{1,18}$"
"""What Gt and Lt compare with: a label's value can't be negative."""

Weight = Annotated[int, Field(ge=1, le=100)]

_VALUES_FIT = cel(
    "(self.operator in ['Exists', 'DoesNotExist']) == (size(self.values) == 0)",
    "operators Exists and DoesNotExist take no values, the others need some",
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
                "operators Gt and Lt take one integer, from 0",
                ".values",
            ),
        )
    )

    key: LabelKey
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label's value is compared with ``values``."""
    values: Annotated[list[LabelValue], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """For In and NotIn: any of these; for Gt and Lt: one integer, from 0; for Exists and DoesNotExist: none."""


class NodeField(Model):
    """A condition on a node's own fields, of which Kubernetes knows one: its name."""

    key: Literal["metadata.name"]
    """metadata.name."""
    operator: Literal["In", "NotIn"]
    """Whether it is, or is not, the value."""
    values: Annotated[list[ObjectName], list_atomic(min_length=1, max_length=1)]
    """The name of one node."""


class NodeSelectorTerm(Model):
    """Conditions of which a node must meet all. A term without any matches no node."""

    match_expressions: Annotated[
        list[NodeExpression], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the node's labels."""
    match_fields: Annotated[
        list[NodeField], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the node's name."""


class NodeSelector(Model):
    """Nodes: those that any of the terms matches."""

    node_selector_terms: Annotated[
        list[NodeSelectorTerm], list_atomic(min_length=1, max_length=limits.AFFINITY_TERMS)
    ]
    """A node must match one of these."""


class PreferredNodes(Model):
    """A wish for nodes, and how much it weighs."""

    weight: Weight
    """From 1 to 100; a node's weights are summed."""
    preference: NodeSelectorTerm
    """The nodes."""


class NodeAffinity(Model):
    """Which nodes a pod must or should be on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pod must be on: until there is one, it waits."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredNodes], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Nodes that the pod should be on, if they have room."""


class LabelExpression(Model):
    """A condition on one of a pod's labels."""

    model_config = ConfigDict(json_schema_extra=cel_rules(_VALUES_FIT))

    key: LabelKey
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label's value is compared with ``values``."""
    values: Annotated[list[LabelValue], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """For In and NotIn: any of these; for Exists and DoesNotExist: none."""


class LabelSelector(Model):
    """Conditions on a pod's labels, all of which it must meet. One without any matches every pod."""

    match_labels: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = {}
    """Labels that the pod must have."""
    match_expressions: Annotated[
        list[LabelExpression], list_atomic(max_length=limits.AFFINITY_EXPRESSIONS)
    ] = []
    """Conditions on the pod's labels."""


class PodAffinityTerm(Model):
    """Other pods, and how near is near."""

    label_selector: LabelSelector | None = None
    """The pods. Absent: none. A trial's own pods have the labels sparksweep.dev/experiment and sparksweep.dev/role."""
    topology_key: LabelKey
    """The label whose value nodes that are near each other share: kubernetes.io/hostname, topology.kubernetes.io/zone."""
    namespaces: Annotated[list[DnsLabel], list_atomic(max_length=limits.AFFINITY_VALUES)] = []
    """Where the pods are. Absent: in the Experiment's namespace."""


class PreferredPods(Model):
    """A wish to be near other pods, or away from them, and how much it weighs."""

    weight: Weight
    """From 1 to 100; a node's weights are summed."""
    pod_affinity_term: PodAffinityTerm
    """The pods."""


class PodAffinity(Model):
    """Which pods a pod must or should be near."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that it must be near, all of them: until there is such a place, it waits."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredPods], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that it should be near, if there is room."""


class PodAntiAffinity(Model):
    """Which pods a pod must or should be away from."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that it must not be near, none of them: until there is such a place, it waits."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredPods], list_atomic(max_length=limits.AFFINITY_TERMS)
    ] = []
    """Pods that it should not be near, if there is room elsewhere."""


class Affinity(Model):
    """Where a pod must or should be: as ``affinity`` in a pod's spec."""

    node_affinity: NodeAffinity | None = None
    """On which nodes."""
    pod_affinity: PodAffinity | None = None
    """Near which pods."""
    pod_anti_affinity: PodAntiAffinity | None = None
    """Away from which pods."""
