"""The Kubernetes operator: a kopf shell around the planner."""
