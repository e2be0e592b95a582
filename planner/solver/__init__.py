"""Exact choice of one option for each client under shared limits, in plain arrays."""
