"""What a step costs: FLOPs, memory and bytes per unit of a model, and a device's speed."""
