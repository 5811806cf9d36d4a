"""`python -m toolkit` is the command `touchstone`."""

from toolkit.cli import main

main()
