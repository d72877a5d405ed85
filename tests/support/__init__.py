"""Helpers of several tests: fixtures, rigs, fake servers, documents and experiments."""
