"""Cut `data/textures` from the photographs that scikit-image brings along: python data/prepare.py [FOLDER].

The same patches as `toolkit.load("textures")`, as a folder of PNG files. Writing them again changes no byte.
"""

import sys
from pathlib import Path

from PIL import Image

from toolkit.data.named import textures


def write_textures(folder: Path) -> int:
    """Write each patch as split/class/row_column.png below `folder`; return how many bytes they take."""
    listing = textures()
    total = 0
    assert listing.images is not None
    for name, image in zip(listing.names, listing.images, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(path, optimize=True)
        total += path.stat().st_size
    return total


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "textures"
    print(f"{target}: {write_textures(target):,} bytes")
