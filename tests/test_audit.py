"""The audit: each planted fault is found with its file and its words, and clean sets give no alarm."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

import toolkit
from toolkit.data.audit import Audit, audit
from toolkit.data.audit.labels import label_errors
from toolkit.data.audit.measure import Source
from toolkit.errors import InputError

REAL = os.environ.get("TOUCHSTONE_TEST_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="set TOUCHSTONE_TEST_DATA to the folder of real images")
PICTURES = {"cat": data.chelsea, "rocket": data.rocket}  # both in colour and bundled with scikit-image
EDGE, EACH = 96, 24


def cuts(name: str, count: int, edge: int = EDGE) -> list[Image.Image]:
    """Different square cuts of one photograph, brought to one contrast and to a brightness that tells no class."""
    picture = Image.fromarray(PICTURES[name]())
    side = min(picture.size) // 3
    generator = np.random.default_rng(0)
    places, found = [], []
    while len(found) < count:
        left, top = (int(generator.integers(0, size - side)) for size in picture.size)
        if all(abs(left - x) + abs(top - y) > 12 for x, y in places):
            places.append((left, top))
            pixels = np.asarray(picture.crop((left, top, left + side, top + side)).resize((edge, edge)), float)
            grey = pixels @ (0.299, 0.587, 0.114)
            shades = (pixels - grey.mean()) / grey.std() * 45 + generator.uniform(100, 150)
            found.append(Image.fromarray(shades.clip(0, 255).astype(np.uint8)))
    return found


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of JPEGs without a fault."""
    root = tmp_path_factory.mktemp("clean")
    for name in PICTURES:
        (root / name).mkdir()
        for number, picture in enumerate(cuts(name, EACH)):
            picture.save(root / name / f"{number:02d}.jpg", quality=92)
    return root


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    """A copy of the clean set to plant faults in."""
    return Path(shutil.copytree(clean, tmp_path / "set"))


def opened(path: Path) -> Image.Image:
    """The picture of a file, read and closed."""
    with Image.open(path) as picture:
        return picture.copy()


def found(result: Audit, kind: str) -> list[tuple[str, ...]]:
    """The names of each finding of a kind."""
    return [finding.names for finding in result.findings if finding.kind == kind]


def test_a_clean_set_gives_no_alarm(clean: Path) -> None:
    result = audit(clean)
    assert result.findings == ()
    assert result.images == 2 * EACH
    assert result.classes == {"cat": EACH, "rocket": EACH}
    assert result.contact_sheet() is None
    assert "nothing found" in str(result)


@pytest.mark.parametrize("name", ["digits", "textures"])
def test_named_sets_give_no_alarm(name: str) -> None:
    assert {finding.kind for finding in audit(name).findings} <= {
        "near duplicates"
    }  # two handwritten digits may be alike


@needs_real
@pytest.mark.parametrize("name", ["flowers5", "sign_digits"])
def test_real_sets_give_no_alarm(name: str) -> None:
    assert {finding.kind for finding in audit(Path(str(REAL)) / name).findings} <= {"near duplicates"}


def test_unreadable_files_come_with_the_reason(folder: Path) -> None:
    (folder / "cat" / "text.jpg").write_text("no picture")
    (folder / "cat" / "empty.png").touch()
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere.png")
    whole = (folder / "cat" / "00.jpg").read_bytes()
    (folder / "cat" / "00.jpg").write_bytes(whole[: len(whole) // 2])
    result = audit(folder)
    reasons = {f.names[0]: f.detail for f in result.findings if f.kind == "unreadable"}
    assert set(reasons) == {"cat/00.jpg", "cat/empty.png", "cat/gone.png", "cat/text.jpg"}
    assert "truncated" in reasons["cat/00.jpg"]
    assert "empty" in reasons["cat/empty.png"]
    assert "No such file" in reasons["cat/gone.png"]
    assert "starts with b'no picture'" in reasons["cat/text.jpg"]
    assert result.counts() == {"unreadable": 4}


def test_a_png_named_jpg_is_told(folder: Path) -> None:
    opened(folder / "cat" / "03.jpg").save(folder / "cat" / "03.jpg", "PNG")
    (folder / "cat" / "04.jpg").rename(folder / "cat" / "04.JPEG")
    (folder / "cat" / "05.jpg").rename(folder / "cat" / "05.jfif")
    result = audit(folder)
    assert found(result, "wrong extension") == [("cat/03.jpg",)]
    assert "PNG" in result.findings[0].detail
    assert result.counts() == {"wrong extension": 1}


def test_copies_and_copies_under_another_label(folder: Path) -> None:
    shutil.copy(folder / "cat" / "01.jpg", folder / "cat" / "again.jpg")
    shutil.copy(folder / "cat" / "02.jpg", folder / "rocket" / "wrong.jpg")
    opened(folder / "rocket" / "07.jpg").resize((64, 64)).save(folder / "rocket" / "small.jpg", quality=80)
    result = audit(folder)
    assert sorted(found(result, "duplicates")) == [
        ("cat/01.jpg", "cat/again.jpg"),
        ("cat/02.jpg", "rocket/wrong.jpg"),
    ]
    assert found(result, "near duplicates") == [("rocket/07.jpg", "rocket/small.jpg")]
    assert found(result, "conflicting labels") == [("cat/02.jpg", "rocket/wrong.jpg")]
    assert result.findings[0].severity == "error"
    assert "cat, rocket" in result.findings[0].detail
    assert not found(result, "leak")


def test_leaks_between_given_splits(clean: Path, tmp_path: Path) -> None:
    for split, start, stop in (("train", 0, 12), ("test", 12, EACH)):
        for name in PICTURES:
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(start, stop):
                shutil.copy(clean / name / f"{number:02d}.jpg", tmp_path / split / name)
    shutil.copy(clean / "cat" / "00.jpg", tmp_path / "test" / "cat" / "leaked.jpg")
    shutil.copy(clean / "cat" / "01.jpg", tmp_path / "train" / "cat" / "twice.jpg")
    result = audit(tmp_path)
    assert result.splits == {"train": 25, "test": 25}
    assert [set(names) for names in found(result, "leak")] == [{"test/cat/leaked.jpg", "train/cat/00.jpg"}]
    assert "train and test" in result.findings[0].detail
    assert len(found(result, "duplicates")) == 2


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("blank", lambda picture: Image.new("RGB", picture.size, (90, 120, 40))),
        ("dark", lambda picture: picture.point(lambda value: value // 8)),
        ("washed out", lambda picture: picture.point(lambda value: 238 + value // 15)),
        ("blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(8))),
    ],
)
def test_odd_looks(folder: Path, kind: str, spoil: object) -> None:
    path = folder / "cat" / "09.jpg"
    spoil(opened(path)).save(path, quality=92)
    result = audit(folder)
    assert found(result, kind) == [("cat/09.jpg",)]
    assert result.counts() == {kind: 1}


def test_a_look_that_many_have_is_the_nature_of_the_set(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        opened(path).point(lambda value: value // 8).save(path, quality=92)
    assert [(f.kind, f.severity, f.names) for f in audit(folder).findings] == [("dark", "note", ())]


def test_odd_sizes_and_proportions(folder: Path) -> None:
    opened(folder / "cat" / "00.jpg").resize((40, 40)).save(folder / "cat" / "00.jpg")
    opened(folder / "cat" / "01.jpg").resize((300, 80)).save(folder / "cat" / "01.jpg")
    result = audit(folder)
    assert found(result, "odd size") == [("cat/00.jpg", "cat/01.jpg")]
    assert found(result, "odd proportions") == [("cat/01.jpg",)]
    assert result.counts() == {"odd size": 1, "odd proportions": 1}


def test_sizes_may_vary(folder: Path) -> None:
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        opened(path).resize((90 + number % 7, 90 + number % 5)).save(path, quality=92)
    opened(folder / "cat" / "00.jpg").resize((20, 20)).save(folder / "cat" / "00.jpg")
    assert audit(folder).counts() == {"odd size": 1}


def test_a_size_that_one_class_alone_has_gives_it_away(folder: Path) -> None:
    for number in range(EACH):
        path = folder / "rocket" / f"{number:02d}.jpg"
        opened(path).resize((80, 80)).save(path, quality=92)
    telling = [f.detail for f in audit(folder).findings if f.kind == "giveaway"]
    assert any("24 of the 24 pictures with size 80 x 80 are of class 'rocket'" in detail for detail in telling)
    assert len(telling) == 2  # and the other size tells the other class


def test_a_few_sizes_by_chance_do_not(folder: Path) -> None:
    for number in range(6):
        path = folder / "rocket" / f"{number:02d}.jpg"
        opened(path).resize((80, 80)).save(path, quality=92)
    assert "giveaway" not in audit(folder).counts()


def test_a_format_that_one_class_alone_has_gives_it_away(folder: Path) -> None:
    for path in (folder / "rocket").iterdir():
        opened(path).save(path.with_suffix(".png"))
        path.unlink()
    details = [f.detail for f in audit(folder).findings if f.kind == "giveaway"]
    assert any("format PNG" in detail and "'rocket'" in detail for detail in details)


def test_a_brightness_that_one_class_alone_has_gives_it_away(folder: Path) -> None:
    for path in (folder / "rocket").iterdir():
        opened(path).point(lambda value: 40 + value // 4).save(path, quality=92)
    for path in (folder / "cat").iterdir():
        opened(path).point(lambda value: 150 + value // 4).save(path, quality=92)
    details = [f.detail for f in audit(folder).findings if f.kind == "giveaway"]
    assert {word for detail in details for word in ("'cat'", "'rocket'") if word in detail} == {"'cat'", "'rocket'"}
    assert all(detail.startswith("brightness alone") for detail in details)


def test_tiny_and_unequal_classes_and_classes_that_a_split_lacks(clean: Path, tmp_path: Path) -> None:
    for split, counts in {"train": {"cat": 20, "rocket": 3}, "test": {"cat": 4}}.items():
        start = 0 if split == "train" else 20
        for name, count in counts.items():
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(start, start + count):
                shutil.copy(clean / name / f"{number:02d}.jpg", tmp_path / split / name)
    result = audit(tmp_path)
    assert result.counts() == {"tiny class": 1, "imbalance": 1, "missing class": 1}
    assert "'rocket' has 3 readable images" in str(result)
    assert "test has no image of rocket" in str(result)


def test_a_loaded_dataset_is_judged_by_its_pixels_and_splits(clean: Path) -> None:
    pixels = np.stack([np.asarray(opened(path)) for path in sorted(clean.rglob("*.jpg"))])
    labels = np.repeat([0, 1], EACH).astype(np.int64)
    pixels[1] = pixels[0]
    pixels[2] = 7
    names = np.array([f"{row:03d}" for row in range(2 * EACH)])

    def part(rows: list[int]) -> toolkit.Split:
        return toolkit.Split(pixels[rows], labels[rows], names[rows])

    rows = list(range(2 * EACH))
    manifest = toolkit.data.Manifest("pair", 0, {}, "", left_out=(("lost.png", "broken"),))
    dataset = toolkit.Dataset(part(rows[:1] + rows[2:40]), part([]), part([*rows[40:], 1]), ("cat", "rocket"), manifest)
    result = audit(dataset)
    assert result.counts() == {"unreadable": 1, "leak": 1, "duplicates": 1, "blank": 1}
    assert set(found(result, "leak")[0]) == {"000", "001"}
    assert found(result, "blank") == [("002",)]


@dataclass
class Said:
    """Predictions, as a run keeps them."""

    labels: np.ndarray
    probabilities: np.ndarray
    names: np.ndarray
    class_names: tuple[str, ...] = ("a", "b", "c")


def predicted(rows: int = 300, wrong: int = 12) -> tuple[Said, set[str]]:
    """What a good classifier says where `wrong` labels are swapped, and the names of those rows."""
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, rows)
    scores = generator.normal(0, 1, (rows, 3)) + 5 * np.eye(3)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels, spoilt = truth.copy(), generator.choice(rows, wrong, replace=False)
    labels[spoilt] = (labels[spoilt] + 1) % 3
    names = np.array([f"{row:03d}" for row in range(rows)])
    return Said(labels, probabilities.astype(np.float32), names), set(names[spoilt].tolist())


def as_source(said: Said) -> Source:
    """A source that holds the rows that predictions speak of."""
    return Source("rows", tuple(said.names.tolist()), said.labels, said.class_names, None)


def test_label_errors_are_found_and_the_likeliest_comes_first() -> None:
    pytest.importorskip("cleanlab", reason="needs the extra `audit`")
    said, spoilt = predicted()
    suspects = [finding.names[0] for finding in label_errors(as_source(said), [said])]
    assert len(set(suspects) & spoilt) >= 0.75 * len(spoilt)  # confident learning prunes, it does not list all
    assert len(set(suspects) - spoilt) <= 2
    assert set(suspects[:6]) <= spoilt


def test_labels_that_agree_with_the_run_give_no_alarm() -> None:
    pytest.importorskip("cleanlab", reason="needs the extra `audit`")
    said, _ = predicted(wrong=0)
    said.probabilities = (0.9 * np.eye(3)[said.labels] + 0.1 / 3).astype(np.float32)
    assert label_errors(as_source(said), [said]) == []
    said.labels, said.probabilities = said.labels * 0, said.probabilities * 0 + np.float32(1 / 3)
    assert label_errors(as_source(said), [said]) == []  # one class only: nothing to compare


def test_predictions_of_other_data_are_refused(clean: Path) -> None:
    said, _ = predicted()
    with pytest.raises(InputError, match=r"run over this data\. 300 of its 300 pictures"):
        audit(clean, [said])
    other, _ = predicted(rows=200)
    with pytest.raises(InputError, match="same rows"):
        label_errors(as_source(said), [said, other])


def test_json_and_contact_sheet(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "cat" / "01.jpg", folder / "cat" / "Ünïcode 名.jpg")
    (folder / "cat" / "notes.txt").write_text("foreign")
    result = audit(folder)
    result.write(tmp_path / "out")
    read = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert read == result.to_dict()
    assert read["counts"] == {"duplicates": 1}
    assert read["passed_over"] == {".txt": 1}
    assert opened(tmp_path / "out" / "contact_sheet.png").size == result.contact_sheet().size
    (folder / "cat" / "Ünïcode 名.jpg").unlink()
    audit(folder).write(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["audit.json"]  # the old sheet would mislead
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Expected a folder to write the audit to"):
        result.write(tmp_path / "file")


def touchstone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = {**os.environ, "COLUMNS": "120"}
    command = [sys.executable, "-m", "toolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "cat" / "02.jpg", folder / "rocket" / "wrong.jpg")
    done = touchstone("audit", folder, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "conflicting labels" in done.stdout
    assert (tmp_path / "out" / "contact_sheet.png").exists()
    done = touchstone("audit", folder, "--json")
    assert json.loads(done.stdout)["counts"] == {"conflicting labels": 1, "duplicates": 1}
    for arguments in (("audit", tmp_path / "nowhere"), ("audit", folder, "--run", tmp_path)):
        done = touchstone(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("touchstone: Expected")
        assert done.stderr.count("\n") == 1


@needs_real
def test_flowers_with_everything_planted(tmp_path: Path) -> None:
    real = Path(str(REAL))
    root = Path(shutil.copytree(real / "flowers5", tmp_path / "flowers5"))
    first = {folder.name: sorted(folder.iterdir())[0] for folder in root.iterdir()}
    shutil.copy(first["daisy"], root / "daisy" / "again.jpg")
    shutil.copy(first["rose"], root / "tulip" / "wrong.jpg")
    for path in sorted((root / "rose").iterdir())[40:80]:
        opened(path).resize((128, 128)).save(path, quality=90)
    shutil.copytree(real / "hostile", root / "sunflower" / "hostile")
    result = audit(root)
    assert ("daisy/" + first["daisy"].name, "daisy/again.jpg") in found(result, "duplicates")
    assert ("rose/" + first["rose"].name, "tulip/wrong.jpg") in found(result, "conflicting labels")
    assert any("size 128 x 128 are of class 'rose'" in f.detail for f in result.findings)
    unreadable = {names[0] for names in found(result, "unreadable")}
    assert all(name.startswith("sunflower/hostile/") for name in unreadable)
    for kind in ("bomb/reallybig.bmp", "truncated/truncated_image.png", "corrupt/unknown_compression_method.png"):
        assert "sunflower/hostile/" + kind in unreadable
    flowers = [f for f in result.findings if not any("hostile" in name for name in f.names)]
    assert {f.kind for f in flowers} <= {"duplicates", "near duplicates", "conflicting labels", "giveaway", "odd size"}
