"""FlexP-SFL training: clients and a server that meet only at the wire."""
