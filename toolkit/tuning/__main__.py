"""The tuner script: `python -m toolkit.tuning NAME DATA ...` is `touchstone tune NAME DATA ...`."""

from toolkit.cli import main

main("tune")
