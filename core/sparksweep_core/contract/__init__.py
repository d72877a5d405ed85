"""The contract between programs: what operator, driver, slots, viewer, SDK and chart must agree on, each thing once.

Only ``driver_config``, ``program`` and ``labels`` import anything of the project; training code may import the rest.
"""
