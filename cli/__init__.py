"""The command line: each module parses, calls and renders one command."""
