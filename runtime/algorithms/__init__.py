"""Federated and split algorithms over one training loop: a file and a name for each."""
