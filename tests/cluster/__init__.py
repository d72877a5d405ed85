"""A real Kubernetes for tests on one Linux machine, built from Go modules and Debian packages: no registry, no Docker.

The control plane runs on the host. A node is a network namespace with no way out of the machine, in which kubelet,
containerd, kube-proxy and a DNS server run; tearing it down is killing processes and deleting the namespace.
``python -m cluster`` (with ``tests`` on the path) is the command, ``support.cluster_fixtures`` what tests use.
"""
