"""Models: named configurations, and how one becomes a trainable stack of blocks."""
