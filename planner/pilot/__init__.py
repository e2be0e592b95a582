"""The pilot: the smallest part of a fleet that stands for all of it, and what it must show."""
