"""`python -m flexp` is `flexp`."""

from .cli.app import main

main()
