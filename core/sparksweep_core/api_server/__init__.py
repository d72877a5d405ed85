"""Paths and errors of the Kubernetes API server, for every client of it. Pure."""
