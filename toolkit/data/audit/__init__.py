"""What is wrong with a set of labelled images, before anybody learns from it. It mends nothing and trains nothing.

Kinds of findings: `unreadable`, `conflicting labels` and `leak` (errors); `duplicates`, `near duplicates`, `wrong
extension`, `blank`, `dark`, `washed out`, `blurred`, `giveaway`, `label error`, `tiny class`, `imbalance`, `missing
class` (warnings); `odd size`, `odd proportions`, `note` (notes). The modules beside this one say how each is told.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from toolkit.data.audit.classes import giveaways, unequal
from toolkit.data.audit.copies import copies, group_copies
from toolkit.data.audit.findings import SEVERITIES, Audit, Finding
from toolkit.data.audit.labels import Predictions, label_errors
from toolkit.data.audit.measure import Source, from_dataset, from_listing, measure
from toolkit.data.audit.pictures import misnamed, odd_looks, odd_shapes, unreadable
from toolkit.data.audit.sheet import EDGE, chosen
from toolkit.data.dataset import Dataset
from toolkit.data.decode import Unreadable, quiet
from toolkit.data.sources import Source as Place
from toolkit.data.sources import describe, find

__all__ = ["Audit", "Finding", "Predictions", "audit"]


def audit(data: Place | Dataset, predictions: Iterable[Predictions] = ()) -> Audit:
    """Look at every picture once and say what is wrong with the set.

    `data` is what `load` takes, or what it gave; files tell more than a loaded dataset, which knows pixels but
    neither sizes nor formats. `predictions` of one or more classifiers for the same rows, which they had not learnt
    from, add likely label errors; `toolkit.read_predictions` reads them from a run. `InputError` says what is no
    data, or predictions of other data.
    """
    source = from_dataset(data) if isinstance(data, Dataset) else from_listing(find(data), describe(data))
    runs = list(predictions)
    suspects = label_errors(source, runs) if runs else []  # first: what cannot be is refused before the long pass
    pictures = measure(source)
    groups = group_copies(pictures)
    found = [
        *unreadable(source, pictures),
        *copies(source, pictures, groups),
        *suspects,
        *giveaways(source, pictures, groups),
        *misnamed(source, pictures),
        *odd_looks(source, pictures),
        *odd_shapes(source, pictures),
        *unequal(source, pictures),
        *(Finding("note", "note", note) for note in source.notes),
    ]
    kinds = list(dict.fromkeys(finding.kind for finding in found))
    found.sort(key=lambda finding: (SEVERITIES.index(finding.severity), kinds.index(finding.kind)))
    classes = np.bincount(source.labels, minlength=len(source.class_names)).tolist()
    splits, sizes = np.unique([] if source.splits is None else source.splits, return_counts=True)
    return Audit(
        source=source.title,
        images=len(source.names),
        classes=dict(zip(source.class_names, classes, strict=True)),
        splits={str(name) or "to be split": int(size) for name, size in zip(splits, sizes, strict=True)},
        findings=tuple(found),
        passed_over=source.passed_over,
        thumbnails=_thumbnails(source, found),
    )


def _thumbnails(source: Source, findings: list[Finding]) -> dict[str, NDArray[np.uint8]]:
    """The pictures of the contact sheet, read again: a few, where keeping all would not fit the memory."""
    rows = {name: row for row, name in enumerate(source.names)}
    found = {}
    with quiet():
        for _, name in chosen(findings):
            try:
                found[name] = source.pixels(rows[name], EDGE)
            except Unreadable:  # gone since it was looked at
                continue
    return found
