"""The one door: every source becomes the same kind of dataset, and every mistake one line that says what to mend."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.data import Dataset, Manifest, Split, fingerprint, joined, load
from toolkit.data.dataset import SPLITS
from toolkit.errors import InputError


def picture(seed: int, height: int = 20, width: int = 24, grey: bool = False) -> Image.Image:
    shape = (height, width) if grey else (height, width, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def write_classes(
    root: Path, classes: dict[str, int], suffix: str = ".png", grey: bool = False, start: int = 0
) -> None:
    """Class folders with that many distinct pictures each."""
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for row in range(count):
            picture(start + 1000 * number + row, grey=grey).save(root / name / f"{row:02d}{suffix}")


def check_contract(dataset: Dataset) -> None:
    """What every dataset promises, whatever it was loaded from."""
    for name in SPLITS:
        split: Split = getattr(dataset, name)
        assert split.images.dtype == np.uint8
        assert split.images.shape == (len(split), *dataset.image_shape)
        assert dataset.image_shape[2] in (1, 3)
        assert not split.images.flags.writeable
        assert split.labels.dtype == np.int64
        assert len(split.labels) == len(split.names) == dataset.manifest.sizes[name]
        assert not len(split) or set(np.unique(split.labels)) <= set(range(dataset.classes))
    names = np.concatenate([getattr(dataset, name).names for name in SPLITS])
    assert len(set(names.tolist())) == len(names)
    assert not any(os.path.isabs(name) for name in names)
    splits = {name: getattr(dataset, name) for name in SPLITS}
    assert dataset.manifest.sha256 == fingerprint(splits, dataset.class_names)
    assert Manifest.from_json(json.loads(json.dumps(dataset.manifest.as_json()))) == dataset.manifest
    fitting = dataset.fitting
    np.testing.assert_array_equal(fitting.images, np.concatenate([dataset.train.images, dataset.validation.images]))
    np.testing.assert_array_equal(fitting.labels, np.concatenate([dataset.train.labels, dataset.validation.labels]))
    assert np.shares_memory(fitting.images, dataset.train.images)


def test_digits() -> None:
    dataset = load("digits")
    check_contract(dataset)
    assert dataset.image_shape == (32, 32, 1)
    assert sum(dataset.manifest.sizes.values()) == 1797
    assert dataset.train.images.max() == 255


def test_textures_come_from_disjoint_regions_and_equal_the_folder_in_data() -> None:
    dataset = load("textures")
    check_contract(dataset)
    rows = {name: {int(path.rsplit("/", 1)[1][:3]) for path in getattr(dataset, name).names} for name in SPLITS}
    assert max(rows["train"]) + 64 <= min(rows["validation"])
    assert max(rows["validation"]) + 64 <= min(rows["test"])
    folder = load(Path(__file__).parents[1] / "data" / "textures")
    assert folder.manifest.sha256 == dataset.manifest.sha256
    for name in SPLITS:
        np.testing.assert_array_equal(getattr(folder, name).images, getattr(dataset, name).images)


def test_class_folders(tmp_path: Path) -> None:
    write_classes(tmp_path, {"cat": 10, "dog": 20})
    dataset = load(tmp_path)
    check_contract(dataset)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.manifest.sizes == {"train": 21, "validation": 3, "test": 6}
    for split in (dataset.train, dataset.validation, dataset.test):
        for image, label, name in zip(split.images, split.labels, split.names, strict=True):
            assert name.startswith(dataset.class_names[label] + "/")
            np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / name)))


def test_split_folders_stay_as_given(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "val", "test")):
        write_classes(tmp_path / name, {"cat": 4, "dog": 5}, start=100 * number)
    dataset = load(tmp_path)
    check_contract(dataset)
    assert dataset.manifest.sizes == {"train": 9, "validation": 9, "test": 9}
    assert all(name.startswith("val/") for name in dataset.validation.names)
    assert dataset.class_names == ("cat", "dog")


def test_missing_validation_is_drawn_from_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"cat": 10, "dog": 10})
    write_classes(tmp_path / "test", {"cat": 3, "dog": 3}, start=50)
    dataset = load(tmp_path, validation=0.2)
    assert dataset.manifest.sizes == {"train": 16, "validation": 4, "test": 6}
    assert all(name.startswith("test/") for name in dataset.test.names)


def test_classes_may_be_called_train_or_test(tmp_path: Path) -> None:
    write_classes(tmp_path, {"train": 5, "bus": 5, "test": 5})
    assert load(tmp_path).class_names == ("bus", "test", "train")


@pytest.mark.parametrize(
    ("layout", "received"),
    [
        ({"train/a": 5, "train/b": 5, "test": 3}, "'test/00.png'"),  # a test without labels
        ({"train/a": 5, "train/b": 5, "val/a": 3, "val/b": 3, "train": 1}, "'train/00.png'"),  # a stray picture
        ({"val/a": 5, "val/b": 5, "test/a": 3, "test/b": 3}, "no train folder beside test, val"),
    ],
)
def test_splits_that_do_not_all_hold_classes_are_no_classes(
    tmp_path: Path, layout: dict[str, int], received: str
) -> None:
    write_classes(tmp_path, layout)
    with pytest.raises(InputError, match=f"Expected class folders in each of train.*Received: {received}"):
        load(tmp_path)


def test_what_this_program_wrote_is_no_data(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 5, "runs/one/cnn": 3, "audited": 2})
    (tmp_path / "runs" / "one" / "run.json").write_text("{}")
    (tmp_path / "audited" / "audit.json").write_text("{}")
    dataset = load(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert dataset.manifest.passed_over["folders that this program wrote"] == 2


def test_class_folders_in_two_spellings_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path, {"\u00fcber": 5, "u\u0308ber": 5})
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system takes both spellings for one")
    with pytest.raises(InputError, match="in two spellings"):
        load(tmp_path)


def test_the_digest_of_pixels_knows_what_the_manifest_does_not(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 9, "b": 9})
    first, again = load(tmp_path), load(tmp_path)
    picture(77).save(tmp_path / "a" / "03.png")
    other = load(tmp_path)
    assert first.pixels == again.pixels != other.pixels
    assert first.manifest.sha256 == other.manifest.sha256


def test_numbered_classes_are_in_order_of_number(tmp_path: Path) -> None:
    write_classes(tmp_path, {str(number): 3 for number in range(11)})
    assert load(tmp_path).class_names == tuple(str(number) for number in range(11))


def test_grey_sets_have_one_channel_and_mixed_sets_three(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 4, "b": 4}, grey=True)
    grey = load(tmp_path)
    assert grey.image_shape == (20, 24, 1)
    picture(77).save(tmp_path / "a" / "colour.png")
    mixed = load(tmp_path)
    assert mixed.image_shape == (20, 24, 3)
    row = mixed.train.names.tolist().index(next(name for name in grey.train.names if name in mixed.train.names))
    image = mixed.train.images[row]
    assert (image == image[..., :1]).all()


def test_unicode_nested_hidden_foreign_and_linked(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_classes(root, {"ä 猫": 3, "rosé/deep/er": 3})
    (root / "ä 猫" / ".hidden.png").write_bytes(b"")
    (root / ".git").mkdir()
    (root / "ä 猫" / "notes.txt").write_text("x")
    (root / "Thumbs.db").write_text("x")
    (root / "boxes").mkdir()
    (root / "boxes" / "1.xml").write_text("x")
    (root / "rosé" / "loop").symlink_to(root, target_is_directory=True)
    elsewhere = tmp_path / "elsewhere"
    write_classes(elsewhere, {"more": 2}, start=500)
    (root / "rosé" / "linked").symlink_to(elsewhere, target_is_directory=True)
    dataset = load(root)
    check_contract(dataset)
    assert dataset.class_names == ("rosé", "ä 猫")
    assert sum(dataset.manifest.sizes.values()) == 8
    assert dataset.manifest.passed_over == {
        ".txt": 1,
        ".xml": 1,
        "hidden": 2,
        "in no class folder (.db)": 1,
        "links in a loop": 1,
    }
    assert dataset.manifest.notes == ("Folders without images, taken for no class: boxes.",)


def test_image_size_is_height_and_width(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 4, "b": 4})
    picture(5, 50, 30).save(tmp_path / "a" / "large.png")
    assert load(tmp_path, (10, 15)).image_shape == (10, 15, 3)
    assert load(tmp_path, 12).image_shape == (12, 12, 3)
    assert load("digits", 16).image_shape == (16, 16, 1)


def test_manifest_hash_knows_names_labels_and_splits_but_no_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_classes(tmp_path / place, {"a": 9, "b": 9})
    first = load(tmp_path / "one").manifest.sha256
    assert load(tmp_path / "two").manifest.sha256 == first
    assert load(tmp_path / "two", 8).manifest.sha256 == first
    assert load(tmp_path / "two", seed=1).manifest.sha256 != first
    (tmp_path / "two" / "a" / "00.png").rename(tmp_path / "two" / "b" / "99.png")
    assert load(tmp_path / "two").manifest.sha256 != first


def write_idx(path: Path, array: np.ndarray) -> None:
    content = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def idx_set(root: Path, suffix: str = ".gz", train_labels: int = 40) -> None:
    random = np.random.default_rng(0)
    for part, rows, labels in (("train", 40, train_labels), ("t10k", 10, 10)):
        write_idx(root / f"{part}-images-idx3-ubyte{suffix}", random.integers(0, 256, (rows, 7, 5), np.uint8))
        write_idx(root / f"{part}-labels-idx1-ubyte{suffix}", (np.arange(labels) % 2).astype(np.uint8))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_keeps_the_official_test_part(tmp_path: Path, suffix: str) -> None:
    idx_set(tmp_path, suffix)
    dataset = load(tmp_path)
    check_contract(dataset)
    assert dataset.image_shape == (7, 5, 1)
    assert dataset.manifest.sizes == {"train": 36, "validation": 4, "test": 10}
    assert dataset.test.names.tolist() == [f"test/{row:05d}" for row in range(10)]


def test_idx_refusals(tmp_path: Path) -> None:
    idx_set(tmp_path, train_labels=39)
    with pytest.raises(InputError, match=r"a label for each image .* Received: 40 and 39"):
        load(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"<!DOCTYPE html><html>")
    with pytest.raises(InputError, match=r"gzip-packed IDX.*<!DOCTYPE"):
        load(tmp_path)
    idx_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes((tmp_path / "train-images-idx3-ubyte.gz").read_bytes()[:500])
    with pytest.raises(InputError, match="train-images"):
        load(tmp_path)
    idx_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"Expected the labels of 'train-images-idx3-ubyte.gz'"):
        load(tmp_path)


def test_npz(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), np.uint8)
    labels = np.array(["b", "a"] * 15)
    names = np.array([f"n{row}" for row in range(30)])
    split = np.array(["train"] * 20 + ["val"] * 4 + ["test"] * 6)
    np.savez(tmp_path / "set.npz", images=images, labels=labels, names=names, split=split, group=np.arange(30))
    dataset = load(tmp_path / "set.npz")
    check_contract(dataset)
    assert dataset.class_names == ("a", "b")
    np.testing.assert_array_equal(dataset.train.images, images[:20])
    np.testing.assert_array_equal(dataset.validation.labels, [1, 0, 1, 0])
    assert dataset.test.names.tolist() == [f"n{row}" for row in range(24, 30)]
    assert dataset.test.columns["group"].tolist() == [str(row) for row in range(24, 30)]


def test_npz_as_keras_has_it(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 6, 5), np.uint8)
    labels = np.arange(30)[:, None] % 3 + 4
    np.savez(tmp_path / "set.npz", x_train=images[:20], y_train=labels[:20], x_test=images[20:], y_test=labels[20:])
    dataset = load(tmp_path / "set.npz")
    check_contract(dataset)
    assert dataset.class_names == ("4", "5", "6")
    assert dataset.image_shape == (6, 5, 1)
    np.testing.assert_array_equal(dataset.test.images[..., 0], images[20:])


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), np.uint8)
LABELS = np.arange(30) % 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES, "labels": LABELS[:29]}, "Received: 30 images and 29 labels"),
        ({"images": IMAGES / 255, "labels": LABELS}, r"as uint8 .* Received: float64 .*\* 255"),
        ({"images": IMAGES.transpose(0, 3, 1, 2), "labels": LABELS}, "Channels come last"),
        ({"images": IMAGES, "labels": np.eye(3)[LABELS]}, "argmax"),
        ({"images": IMAGES.astype(np.int32) + 200, "labels": LABELS}, "from 0 to 255"),
        ({"images": IMAGES, "labels": LABELS, "names": np.array(["same"] * 30)}, "29 that repeat"),
        ({"images": IMAGES, "labels": LABELS, "split": np.array(["holdout"] * 30)}, "Received: 'holdout'"),
        ({"images": IMAGES, "labels": LABELS, "class_names": np.array(["a", "b"])}, "labels from 0 to 1"),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, "plain arrays"),
        ({"pictures": IMAGES, "labels": LABELS}, "Received: labels, pictures"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "at least two classes"),
    ],
)
def test_npz_refusals(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "set.npz")
    assert "\n" not in str(caught.value)


def test_no_npz_at_all(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_text("nothing packed")
    with pytest.raises(InputError, match=r"as a NumPy \.npz"):
        load(tmp_path / "set.npz")


def test_a_text_named_jpg_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 6, "b": 6})
    (tmp_path / "a" / "00.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"'a/00.jpg': no image by its content.*--skip-bad"):
        load(tmp_path)
    dataset = load(tmp_path, skip_bad=True)
    check_contract(dataset)
    assert [name for name, _ in dataset.manifest.left_out] == ["a/00.jpg"]
    assert sum(dataset.manifest.sizes.values()) == 12


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "Received: an empty folder"),
        ({"a": 0, "b": 0}, "Received: an empty folder"),
        ({"a": 5}, r"Received: one \(a\)"),
        ({"a": 5, "b": 2}, "at least 3 images of each class.* 2 of 'b'"),
    ],
)
def test_folders_that_are_no_set(tmp_path: Path, classes: dict[str, int], message: str) -> None:
    write_classes(tmp_path, classes)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_folder_too_high(tmp_path: Path) -> None:
    write_classes(tmp_path / "inner", {"a": 5, "b": 5})
    with pytest.raises(InputError, match=r"one folder down: give '.*inner'"):
        load(tmp_path)


def test_two_sizes_without_image_size(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 5, "b": 5})
    picture(0, 9, 8).save(tmp_path / "b" / "99.png")
    with pytest.raises(InputError, match=r"Received: 24 x 20, and 'b/99.png' with 8 x 9"):
        load(tmp_path)


def test_unknown_sources_and_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown data set 'digit'\. Did you mean 'digits'"):
        load("digit")
    with pytest.raises(InputError, match="which is not there"):
        load(tmp_path / "missing")
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="Unpack archives first"):
        load(tmp_path / "set.zip")
    with pytest.raises(InputError, match=r"image_size .* Received: \(0, 5\)"):
        load("digits", (0, 5))
    with pytest.raises(InputError, match="Unknown fit 'stretch'"):
        load("digits", fit="stretch")  # type: ignore[arg-type]


def test_joined_copies_what_does_not_lie_side_by_side() -> None:
    whole = Split(IMAGES, LABELS, np.arange(30).astype(str))
    near = joined(whole.take(slice(0, 10)), whole.take(slice(10, 15)))
    assert np.shares_memory(near.images, IMAGES)
    np.testing.assert_array_equal(near.images, IMAGES[:15])
    far = joined(whole.take(slice(10, 15)), whole.take(slice(0, 10)))
    np.testing.assert_array_equal(far.images, np.concatenate([IMAGES[10:15], IMAGES[:10]]))
    assert joined(whole, whole.take(slice(0, 0))).images is IMAGES


def test_copies_never_straddle_drawn_splits_unless_told(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_classes(root, {"a": 40, "b": 40}, suffix=".jpg")
    for number in range(30):
        smooth = picture(number, 6, 8).resize((24, 20), Image.Resampling.BICUBIC)
        smooth.save(root / "a" / f"original{number}.png")
        (root / "a" / f"exact{number}.png").write_bytes((root / "a" / f"original{number}.png").read_bytes())
        smooth.save(root / "b" / f"near{number}.jpg", quality=80)
    together = load(root)
    straddling = 0
    for dataset in (together, load(root, duplicates="ignore")):
        home = {name: split for split in SPLITS for name in getattr(dataset, split).names.tolist()}
        trios = [{home[f"a/original{n}.png"], home[f"a/exact{n}.png"], home[f"b/near{n}.jpg"]} for n in range(30)]
        straddling = sum(len(trio) > 1 for trio in trios)
        assert (straddling == 0) == (dataset is together)
    assert together.manifest.notes == (
        "90 images are copies or near copies of others; those that are drawn share a split.",
    )


def test_copies_across_given_splits_stay_and_are_told(tmp_path: Path) -> None:
    for name in ("train", "val", "test"):
        write_classes(tmp_path / name, {"cat": 4, "dog": 5}, start=50 if name == "val" else 0)
    dataset = load(tmp_path)
    assert dataset.manifest.sizes == {"train": 9, "validation": 9, "test": 9}
    assert dataset.manifest.notes[-1].startswith("18 images share a group or are copies across the given splits")


def test_files_are_mapped_and_the_second_load_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(tmp_path, {"a": 9, "b": 9})
    monkeypatch.setattr("toolkit.data.cache.IN_MEMORY", 0)
    first = load(tmp_path)
    assert isinstance(first.train.images, np.memmap)
    check_contract(first)
    monkeypatch.setattr("toolkit.data.store.decode", lambda *_: pytest.fail("decoded again"))
    second = load(tmp_path)
    np.testing.assert_array_equal(first.test.images, second.test.images)
    assert first.manifest == second.manifest
