"""Checks of documents, which report every finding at once: its field, its value and the correction.

- ``document``: a YAML document to an Experiment, or all that is wrong with it; ``messages``: texts for errors of types.
- ``checks``, with ``checks_search``, ``checks_template`` and ``checks_pod``: rules that no type expresses.
- ``source_check``: inline source against the parameters; ``katib_hints``: fields of Katib with another meaning.
- ``immutability``: changes that a running Experiment allows.
"""
