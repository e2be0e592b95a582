"""What-if: the same fleet with something changed, planned by the same solver and set side by
side."""
