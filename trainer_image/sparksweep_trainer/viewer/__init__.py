"""The viewer: second container of the driver's pod. It serves the run directory, also after the experiment has ended.

`__main__` is its process: it serves files with `server`, and keeps TensorBoard running with `tensorboard`.
"""
