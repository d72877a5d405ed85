"""The gateway to the viewers of one namespace, a process of its own with rights of its own: ``python -m sparksweep_operator.gateway``.

`server` takes connections on the loopback address of its pod, `viewers` finds the driver's pod of an Experiment, and `kube`
forwards the one port of it that was asked for. The client's side is ``sparksweep._runs.gateway``.
"""
