"""Files that may claim to be larger than they are: what their writers never compress is not unpacked."""

import os
import zipfile
from pathlib import Path
from typing import Any

from toolkit.errors import InputError


def check_archive(path: Path) -> None:
    """Refuse a zip with compressed members, which ours are not, or with more bytes in all than the file has: a bomb."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise InputError(f"Expected members of {path} to be stored as they are. Received: {packed[0]}, compressed.")
    if len({member.filename for member in members}) < len(members):
        raise InputError(f"Expected each member of {path} once. Received: one of them twice.")
    if sum(member.file_size for member in members) > os.path.getsize(path):
        raise InputError(f"Expected members of {path} that it has room for. Received: more bytes than the file.")


def check_weights(file: Any, size: int, path: Path) -> None:
    """Refuse an HDF5 file that points outside itself, where links and outer storage read other files of the disk, or
    whose arrays are compressed, met twice, or together larger than its `size` in bytes.
    """
    import h5py

    seen: set[Any] = set()
    total = 0

    def look(group: Any) -> None:
        nonlocal total
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"Expected plain arrays in {path}. Received: a link, {name}.")
            item = group[name]
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:
                raise InputError(f"Expected plain arrays in {path}. Received: {name}, which is another's too.")
            seen.add(place)
            if isinstance(item, h5py.Group):
                look(item)
            elif not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.dtype.hasobject:
                raise InputError(f"Expected plain arrays in {path}. Received: {name}, which is kept elsewhere.")
            elif item.id.get_create_plist().get_nfilters():
                raise InputError(f"Expected arrays of {path} to be stored as they are. Received: {name}, compressed.")
            else:
                total += item.nbytes
                if total > size:
                    raise InputError(
                        f"Expected arrays of {path} that it has room for. Received: more bytes, at {name}."
                    )

    with h5py.File(file, "r") as weights:
        look(weights)
