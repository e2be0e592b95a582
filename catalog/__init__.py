"""What exists: models, data sets, device types and links, each figure with its source."""
