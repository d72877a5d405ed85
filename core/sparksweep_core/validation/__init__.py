"""Checks of documents, which report every finding at once: its field, its value and the correction."""
