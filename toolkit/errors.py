"""The one error that means "the user can mend this": what should be, what came, what to do, on one line."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Raised at the borders (paths, files, names, arrays, settings); the command line makes it one line, status 2."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> InputError:
    """The error for a name that is not in a table, with the closest one that is.

    >>> print(unknown("contestant", "resnet5", ["cnn", "resnet50"]))
    Unknown contestant 'resnet5'. Did you mean 'resnet50'? Known: cnn, resnet50.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return InputError(f"Unknown {kind} '{name}'.{meant} {hint or 'Known: ' + ', '.join(names) + '.'}")
