"""The Kubernetes API server as the SDK uses it, with the user's own rights. Alone in the SDK imports `kubernetes`."""
