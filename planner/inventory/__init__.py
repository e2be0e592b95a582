"""From an inventory of devices, a CSV file as people keep it, to a fragment of a fleet file."""
