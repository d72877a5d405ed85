"""Checks of documents: every finding at once, each with its field, the value and what would be right."""
