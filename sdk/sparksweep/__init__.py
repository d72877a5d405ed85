"""Hyperparameter experiments on Kubernetes, and on this machine."""
