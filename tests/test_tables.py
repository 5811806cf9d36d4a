"""Tables of images: rows become a dataset, and a wrong row is refused by its number."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.data import Dataset, load
from toolkit.data.tables import table_file
from toolkit.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve pictures."""
    folder = tmp_path / "set" / "pictures"
    folder.mkdir(parents=True)
    for row in range(12):
        pixels = np.random.default_rng(row).integers(0, 256, (10, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{row:02d} é.png")
    return folder.parent


def rows(**columns: list[str]) -> str:
    paths = [f"pictures/{row:02d} é.png" for row in range(12)]
    table = {"path": paths, "label": ["cat", "dog", "fox"] * 4, **columns}
    lines = [",".join(table), *(",".join(values) for values in zip(*table.values(), strict=True))]
    return "\n".join(lines) + "\n"


def loaded(root: Path, text: str, **settings: bool) -> Dataset:
    (root / "set.csv").write_text(text, "utf-8")
    return load(root / "set.csv", cache=root.parent / "cache", **settings)  # type: ignore[arg-type]


def test_path_and_label(root: Path) -> None:
    dataset = loaded(root, rows())
    assert dataset.class_names == ("cat", "dog", "fox")
    assert sum(dataset.manifest.sizes.values()) == 12
    for split in (dataset.train, dataset.validation, dataset.test):
        for image, label, name in zip(split.images, split.labels, split.names, strict=True):
            np.testing.assert_array_equal(image, np.asarray(Image.open(root / name)))
            assert int(name[9:11]) % 3 == label


def test_splits_groups_and_boxes(root: Path) -> None:
    text = rows(
        split=["train"] * 6 + ["val"] * 3 + ["TEST"] * 3,
        group=["a", "b", ""] * 4,
        camera=["old", "new", "old"] * 4,
        **{
            name: [str(row + number) for row in range(12)]
            for number, name in enumerate(("xmin", "ymin", "xmax", "ymax"))
        },
    )
    dataset = loaded(root, text)
    assert dataset.manifest.sizes == {"train": 6, "validation": 3, "test": 3}
    assert dataset.test.columns["group"].tolist() == ["a", "b", ""]
    assert dataset.test.columns["camera"].tolist() == ["old", "new", "old"]  # any other column, to judge by
    assert set(dataset.test.columns) == {"group", "camera", "box"}
    np.testing.assert_array_equal(
        dataset.test.columns["box"], [[row + side for side in range(4)] for row in range(9, 12)]
    )
    assert dataset.manifest.notes == (
        "8 images share a group or are copies across the given splits, which stay as they are.",
    )


def test_no_group_is_torn(root: Path) -> None:
    group = [str(row // 3 // 1) for row in range(12)]
    dataset = loaded(root, rows(group=group))
    seen = [set(split.columns["group"]) for split in (dataset.train, dataset.validation, dataset.test)]
    assert sum(map(len, seen)) == len(set(group))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_a_byte_order_mark(root: Path, delimiter: str) -> None:
    assert len(loaded(root, "\ufeff" + rows().replace(",", delimiter)).train) == 6


def test_parquet(root: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {
        "path": [f"pictures/{row:02d} é.png" for row in range(12)],
        "label": [row % 3 for row in range(12)],
        "split": ["train"] * 6 + ["test"] * 3 + [None] * 3,
        "site": ["north", "south"] * 6,
        "boxes": [[1, 2]] * 12,
    }
    parquet.write_table(pyarrow.table(table), root / "set.parquet")
    listing = table_file(root / "set.parquet")
    assert listing.class_names == ("0", "1", "2")
    assert listing.given is not None
    assert listing.given.tolist() == ["train"] * 6 + ["test"] * 3 + [""] * 3
    assert list(listing.columns) == ["site"]  # as of CSV; lists are no groups
    assert listing.columns["site"].tolist() == ["north", "south"] * 6
    (root / "set.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"Expected 'set\.parquet' as Parquet"):
        table_file(root / "set.parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Received: an empty file"),
        ("path,label\n", "Received: none"),
        ("file,class\na.png,x\n", r"columns path and label in 'set\.csv'. Received: file, class"),
        ("path,label\na.png\n", "Expected 2 values in each row .* Received: 1 in row 1"),
        ("path,label\na.png,x\nb.png,\n", "Received: none in row 2"),
        ("path,label\na.png,x\n./a.png,y\n", "'a.png' in rows 1 and 2"),
        ("path,label,split\na.png,x,holdout\n", "Received: 'holdout' in row 1"),
        ("path,label\n/etc/a.png,x\n", "Received: '/etc/a.png' in row 1"),
        ("path,label\nb/../../a.png,x\n", r"inside it. Received: 'b/../../a.png' in row 1"),
        ("path,label,xmin,ymin,xmax,ymax\na.png,x,1,2,three,4\n", "numbers in 'xmax' .* 'three' in row 1"),
        ('path,label\n"a.png,x\n', "as CSV"),
    ],
)
def test_refusals(root: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        loaded(root, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(root: Path) -> None:
    text = rows() + "pictures/gone.png,cat\n"
    with pytest.raises(InputError, match=r"'pictures/gone\.png': No such file or directory"):
        loaded(root, text)
    dataset = loaded(root, text, skip_bad=True)
    assert dataset.manifest.left_out == (("pictures/gone.png", "No such file or directory"),)


def test_text_that_is_no_utf8(root: Path) -> None:
    (root / "set.csv").write_bytes(b"path,label\n\xff\xfe,x\n")
    with pytest.raises(InputError, match="as CSV in UTF-8"):
        load(root / "set.csv")
