"""Algorithms side by side: cells of one configuration and seed each, and one table of them."""
