"""A training's history as files for other programs: a table, and events for TensorBoard. It knows no network."""

import shutil
from pathlib import Path

from toolkit.training.checkpoint import History


def table(history: History) -> str:
    """CSV: a row an epoch, counted from 1, and a column for each of the history's."""
    rows = zip(*history.values(), strict=True)
    lines = [",".join(map(repr, (epoch, *row))) for epoch, row in enumerate(rows, 1)]
    return "\n".join([",".join(("epoch", *history)), *lines]) + "\n"


class TensorBoard:
    """Writes each new epoch of a history as scalars; a folder of its own, begun anew by each process.

    A history that goes on from a checkpoint is thus written whole, and no epoch twice.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        shutil.rmtree(folder, ignore_errors=True)
        self._writer, self._written = EventFileWriter(str(folder)), 0

    def __call__(self, history: History) -> None:
        """Write the epochs that are new since the last call; those before the first one bear its time."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        epochs = len(history["loss"])
        for epoch in range(self._written, epochs):
            scalars = [Summary.Value(tag=name, simple_value=column[epoch]) for name, column in history.items()]
            self._writer.add_event(Event(step=epoch + 1, summary=Summary(value=scalars)))
        self._written = epochs
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
