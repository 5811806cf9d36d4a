"""Copies among the pictures: how many, under which labels, in which splits. It sees thumbnails only."""

import numpy as np
from numpy.typing import NDArray

from toolkit.data.audit.findings import Finding
from toolkit.data.audit.measure import Pictures, Source
from toolkit.data.dataset import SPLITS
from toolkit.data.similar import groups as connected
from toolkit.data.similar import near_pairs


def group_copies(pictures: Pictures) -> NDArray[np.int64]:
    """int64 (N,): for every picture the first row of its group of copies, near ones too; its own row if it has none."""
    rows = np.flatnonzero(pictures.rows["readable"])
    _, firsts, content = np.unique(pictures.rows["digest"][rows], return_index=True, return_inverse=True)
    thumbs = pictures.thumbs[rows[firsts]]  # one of each content: the search grows with the pairs it finds
    near = connected(len(thumbs), [near_pairs(thumbs)])[content]
    _, firsts, group = np.unique(near, return_index=True, return_inverse=True)
    groups = np.arange(len(pictures.rows))
    groups[rows] = rows[firsts][group]
    return groups


def copies(source: Source, pictures: Pictures, groups: NDArray[np.int64]) -> list[Finding]:
    """Duplicates, near duplicates, copies with different labels, and copies on both sides of a split."""
    order = np.argsort(groups, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(members) > 1:
            found += _describe(source, members, len(np.unique(pictures.rows["digest"][members])))
    return found


def _describe(source: Source, rows: NDArray[np.int64], contents: int) -> list[Finding]:
    names = tuple(source.names[row] for row in rows)
    if contents == 1:
        found = [Finding("duplicates", "warning", f"{len(rows)} times the same content", names)]
    else:
        detail = f"{len(rows)} pictures that differ in size, compression or shade at most"
        found = [Finding("near duplicates", "warning", detail, names)]
    labels = [source.class_names[label] for label in np.unique(source.labels[rows])]
    if len(labels) > 1:
        detail = f"one picture{'' if contents == 1 else ' (nearly)'} with {len(labels)} labels: {', '.join(labels)}"
        found.append(Finding("conflicting labels", "error", detail, names))
    splits = [] if source.splits is None else [name for name in SPLITS if name in source.splits[rows]]
    if len(splits) > 1:
        detail = f"one picture{'' if contents == 1 else ' (nearly)'} in {' and '.join(splits)}"
        found.append(Finding("leak", "error", detail, names))
    return found
