"""The command `touchstone`: parses, calls, prints; no logic, and no TensorFlow before the arguments are right."""

import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from toolkit.cli import doctor, duel, judge, look, search, train, use  # noqa: F401  # each adds its commands to the application
from toolkit.cli.options import app
from toolkit.errors import InputError


def main(command: str | None = None) -> None:
    """Run the command line, or `command` with it; a user's error is one line on standard error and exit status 2."""
    try:
        sys.exit(app([command, *sys.argv[1:]] if command else None, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        _fail("Interrupted. What was finished is kept; the same command goes on from there.", 130)
    except InputError as error:
        _fail(str(error), 2)
    except TyperException as error:  # what the parser of arguments refuses
        message = getattr(error, "format_message", error.__str__)()
        _fail(f"{message} `touchstone --help` shows the commands, `touchstone COMMAND --help` one of them.", 2)


def _fail(line: str, status: int) -> NoReturn:
    print(f"touchstone: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(status)
