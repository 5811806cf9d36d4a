"""The command `touchstone`: parses, calls, prints; no logic, and no TensorFlow before the arguments are right."""

import errno
import io
import os
import sys
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from toolkit.cli import doctor, duel, judge, look, search, train, use  # noqa: F401  # each adds its commands to the application
from toolkit.cli.options import app
from toolkit.errors import InputError

INTERRUPTED = 130  # what typer returns after Ctrl-C, whose KeyboardInterrupt it keeps to itself


def main(command: str | None = None) -> None:
    """Run the command line, or one `command` of it, whose name may lead the arguments or not.

    A user's error is one line on standard error and exit status 2.
    """
    for stream in (sys.stdout, sys.stderr):  # what a terminal or a file cannot show is escaped
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(command)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except InputError as error:
        _fail(str(error), 2)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        where = "the output" if error.filename is None else error.filename
        _fail(f"Expected files and folders that can be read and written. Received: {error.strerror}, {where}.", 2)
    except TyperException as error:  # what the parser of arguments refuses
        message = getattr(error, "format_message", error.__str__)()
        _fail(f"{message} `touchstone --help` shows the commands, `touchstone COMMAND --help` one of them.", 2)
    if status == INTERRUPTED:
        _fail("Interrupted. What was finished is kept; the same command goes on from there.", INTERRUPTED)
    sys.exit(status or 0)


def _run(command: str | None) -> Any:
    if command is None:
        return app(standalone_mode=False)
    arguments = sys.argv[2:] if sys.argv[1:2] == [command] else sys.argv[1:]
    alone: Any = typer.main.get_command(app)
    return alone.commands[command].main(arguments, "python -m toolkit.tuning", standalone_mode=False)


def _fail(line: str, status: int) -> NoReturn:
    print(f"touchstone: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(status)
