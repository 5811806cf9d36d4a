"""The folder of a run: whole or not at all, resumed when it is the same, refused when it is another."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from toolkit import runs
from toolkit.errors import InputError


def predictions(rows=5, classes=3):
    generator = np.random.default_rng(0)
    return runs.Predictions(
        labels=generator.integers(0, classes, rows),
        probabilities=generator.dirichlet(np.ones(classes), rows).astype(np.float32),
        names=np.array([f"bild {i} ä.png" for i in range(rows)]),
        class_names=("a", "<script>", "ß"),
        manifest="0" * 64,
    )


def test_what_is_written_is_read_back(tmp_path):
    before = predictions()
    runs.write_contestant(tmp_path, "HOG", before, {"fit_seconds": 1.5})
    after, details = runs.read_contestant(tmp_path, "HOG")
    assert details == {"fit_seconds": 1.5}
    for field in ("labels", "probabilities", "names"):
        assert_array_equal(getattr(after, field), getattr(before, field))
    assert (after.class_names, after.manifest) == (before.class_names, before.manifest)


def test_columns_of_the_manifest_are_kept(tmp_path):
    columns = {"site": np.array(list("aabab")), "file": np.arange(5), "box": np.zeros((5, 4))}
    runs.write_contestant(tmp_path, "HOG", replace(predictions(), columns=columns), {})
    after, _ = runs.read_contestant(tmp_path, "HOG")
    assert list(after.columns) == ["site"]  # one value for each row says nothing of groups
    assert after.columns["site"].tolist() == list("aabab")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros(5, int)}, "labels"),
        ({"names": np.array(list("edcba"))}, "names of images"),
        ({"class_names": ("a", "b", "c")}, "class names"),
        ({"class_names": ("a", "b")}, "class names"),
        ({"manifest": "1" * 64}, "data manifest"),
    ],
)
def test_predictions_of_other_rows_form_no_pair(change, words):
    one = predictions()
    with pytest.raises(InputError, match=rf"'b' differ from those of 'a' in their {words}"):
        runs.check_together({"a": one, "b": replace(one, **change)})


def test_what_is_not_known_agrees_with_anything():
    one = predictions()
    bare = replace(one, names=np.arange(5).astype(str), class_names=("0", "1", "2"), manifest="")
    runs.check_together({"a": one, "b": bare})
    runs.check_together({"a": bare, "b": one}, manifest=one.manifest)
    with pytest.raises(InputError, match="data manifest"):
        runs.check_together({"a": one}, manifest="1" * 64)


def test_a_contestant_is_whole_or_not_there(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.write_contestant(tmp_path, "HOG", predictions(), {"fit_seconds": float("nan")})
    assert runs.read_contestant(tmp_path, "HOG") is None
    runs.write_contestant(tmp_path, "HOG", predictions(), {})  # over what the failed attempt left
    assert runs.read_contestant(tmp_path, "HOG") is not None
    assert not list(tmp_path.glob("*.partial"))


def test_the_same_run_goes_on_and_another_is_refused(tmp_path):
    out = tmp_path / "deep" / "run"
    runs.open_run(out, {"data": "a", "settings": {"seed": 0, "shape": (8, 8)}})
    (out / "x.partial").mkdir()
    runs.open_run(out, {"data": "a", "settings": {"seed": 0, "shape": (8, 8)}})
    assert not (out / "x.partial").exists()
    runs.write_contestant(out, "HOG", predictions(), {})
    with pytest.raises(InputError, match=r"differs in: settings\."):
        runs.open_run(out, {"data": "a", "settings": {"seed": 1, "shape": (8, 8)}})


def test_a_run_that_failed_before_anything_was_finished_is_taken_over(tmp_path):
    runs.open_run(tmp_path, {"contestants": "a"})
    for name in ("history.csv", "rates.json", "tensorboard/events.out.1", "net.partial/predictions.npz", "x.partial"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of the first")
    (tmp_path / "net").mkdir()
    for kept in ("features/features-12ab.npz", "tuning/net/search.json"):
        (tmp_path / kept).parent.mkdir(parents=True)
        (tmp_path / kept).write_text("of use to both")
    runs.open_run(tmp_path, {"contestants": "b"})
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "run.json",
        "features/features-12ab.npz",
        "tuning/net/search.json",
    }
    assert not (tmp_path / "net").exists()
    runs.open_run(tmp_path, {"contestants": "b"})
    assert runs.read_json(tmp_path / "run.json") == {"contestants": "b"}


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("checkpoint.npz", "Nothing is finished there: delete .*checkpoint.npz to begin anew, or name another"),
        ("cnn/checkpoint.npz", "Nothing is finished there: delete .*cnn/checkpoint.npz to begin anew"),
        ("predictions.npz", "Name another --out, or delete that folder"),
        ("features/predictions.npz", "Name another --out"),
        ("notes.txt", "Name another --out"),
    ],
)
def test_a_run_that_holds_work_is_not_taken_over(tmp_path, name, remedy):
    runs.open_run(tmp_path, {"contestants": "a"})
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for file in (name, "rates.json"):
        (tmp_path / file).write_text("work")
    with pytest.raises(InputError, match=rf"differs in: contestants\. {remedy}"):
        runs.open_run(tmp_path, {"contestants": "b"})
    assert (tmp_path / name).read_text() == (tmp_path / "rates.json").read_text() == "work"
    assert runs.read_json(tmp_path / "run.json") == {"contestants": "a"}


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="holds other things"):
        runs.open_run(tmp_path, {"data": "a"})
    with pytest.raises(InputError, match=r"Received the file"):
        runs.open_run(tmp_path / "thesis.txt", {"data": "a"})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_contestants_get_folders_of_their_own():
    assert runs.folder_names(["HOG + SVM", "../../etc", "ResNet-20"]) == {
        "HOG + SVM": "HOG_+_SVM",
        "../../etc": "etc",
        "ResNet-20": "ResNet-20",
    }
    with pytest.raises(InputError, match="repeats"):
        runs.folder_names(["a b", "A/b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a file"),
        (b"", "cannot be read"),
        (b"labels,probabilities", "cannot be read as one"),
        (b"PK\x03\x04 cut off", "cannot be read"),
        ({"labels": np.zeros(2, int)}, "Received: labels"),
        ({"labels": np.array([{}], dtype=object), "probabilities": np.ones((1, 1))}, "cannot be read"),
    ],
)
def test_a_damaged_predictions_file_is_named(tmp_path, content, message):
    path = tmp_path / "predictions.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(InputError, match=message) as caught:
        runs.read_predictions(path)
    assert str(path) in str(caught.value)


def test_a_pickle_in_predictions_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    np.savez(
        tmp_path / "p.npz", labels=np.array([Bomb()], dtype=object), probabilities=np.ones((1, 1)), allow_pickle=True
    )
    with pytest.raises(InputError, match="cannot be read"):
        runs.read_predictions(tmp_path / "p.npz")


def test_a_text_file_and_objects_are_refused_without_advice_to_load_them_unsafely(tmp_path):
    (tmp_path / "text.npz").write_text("labels,probabilities")
    np.savez(tmp_path / "objects.npz", labels=np.array([{}], dtype=object), probabilities=np.ones((1, 1)))
    for name in ("text", "objects"):
        with pytest.raises(InputError, match="cannot be read") as caught:
            runs.read_predictions(tmp_path / f"{name}.npz")
        assert "pickle" not in str(caught.value)


def test_another_number_of_rows_is_said_as_such():
    one, two = (
        runs.Predictions(
            np.zeros(rows, np.int64), np.ones((rows, 1), np.float32), np.arange(rows).astype(str), ("a",), ""
        )
        for rows in (80, 160)
    )
    with pytest.raises(InputError, match="differ from those of 'one' in their number of rows, 160 and 80"):
        runs.check_together({"one": one, "two": two})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.array(3)}, "names of shape"),
        ({"class_names": np.array("a")}, "class_names of shape"),
        ({"names": np.array(["a"])}, r"names of shape \(5,\)"),
        ({"column_names": np.array(["a", "b"]), "columns": np.array([list("aabab")])}, r"columns of shape \(2, 5\)"),
    ],
)
def test_arrays_that_do_not_belong_together_are_one_line(tmp_path, change, words):
    one = predictions()
    arrays = {name: np.asarray(getattr(one, name)) for name in ("labels", "probabilities", "names", "class_names")}
    np.savez(tmp_path / "odd.npz", **{**arrays, **change})
    with pytest.raises(InputError, match=words):
        runs.read_predictions(tmp_path / "odd.npz")


def test_bytes_damaged_inside_an_array_are_one_line(tmp_path):
    one, path = predictions(rows=500), tmp_path / "odd.npz"
    np.savez_compressed(path, labels=one.labels, probabilities=one.probabilities)
    whole = path.read_bytes()
    at = whole.index(b"probabilities.npy") + 1000
    path.write_bytes(whole[:at] + bytes(byte ^ 255 for byte in whole[at : at + 200]) + whole[at + 200 :])
    with pytest.raises(InputError, match="cannot be read"):
        runs.read_predictions(path)


def test_a_name_too_long_for_a_folder_is_refused():
    assert list(runs.folder_names(["a" * 200]).values()) == ["a" * 200]
    with pytest.raises(InputError, match="200 bytes or fewer"):
        runs.folder_names(["ß" * 101])
