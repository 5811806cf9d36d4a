"""Predicting from files: the rows in their order, bad ones told, whatever the batch; and the command around it."""

import csv
import io
import json
import queue
from pathlib import Path

import numpy as np
import pytest
from made_models import pictures
from numpy.testing import assert_allclose
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

import toolkit
from baselines import PixelFeatures
from toolkit.cli.options import app
from toolkit.errors import InputError
from toolkit.prediction import Predictor, files_of


class Brightness:
    """The second class is as probable as the picture is bright; counts how it was asked."""

    classes_ = np.array([0, 1])

    def __init__(self):
        self.batches = []

    def fit(self, images, labels):
        return self

    def predict_proba(self, images):
        self.batches.append(len(images))
        bright = images.reshape(len(images), -1).mean(axis=1) / 255
        return np.stack([1 - bright, bright], axis=1)


def predictor(shape=(8, 8, 1)):
    return Predictor(Brightness(), shape, ("dark", "bright"))


@pytest.fixture
def folder(tmp_path):
    """Pictures 00.png (black) to 25.png, two of them broken, and a text."""
    for number in range(26):
        Image.fromarray(np.full((12, 8, 3), number * 10, np.uint8)).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "07.png").write_bytes(b"")
    (tmp_path / "19.png").write_bytes((tmp_path / "18.png").read_bytes()[:40])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (3, 2), (8, 3), (1000, 2)])
def test_rows_keep_their_order_whatever_the_batch(folder, batch, threads):
    one = predictor()
    rows = list(one.predict(files_of([str(folder)]), top=2, batch=batch, threads=threads))
    assert [Path(row.path).name for row in rows] == [f"{number:02d}.png" for number in range(26)]
    assert [number for number, row in enumerate(rows) if row.error] == [7, 19]
    for number, row in enumerate(rows):
        if not row.error:
            assert dict(zip(row.labels, row.probabilities, strict=True))["bright"] == pytest.approx(number * 10 / 255)
            assert row.probabilities[0] >= row.probabilities[1]
    assert max(one.classifier.batches) <= max(batch, 1)


def test_what_is_unsure_is_not_labelled(folder):
    rows = [row for row in predictor().predict(files_of([str(folder)]), threshold=0.8) if not row.error]
    for row in rows:
        assert row.abstained == (row.probabilities[0] < 0.8)
    assert {row.abstained for row in rows} == {True, False}


def test_paths_are_read_no_faster_than_they_are_worked_on(folder):
    given = 0

    def endless():
        nonlocal given
        while True:
            given += 1
            yield str(folder / "03.png")

    rows = predictor().predict(endless(), batch=8, threads=2)
    assert [next(rows).labels for _ in range(20)] == [("dark",)] * 20
    rows.close()
    assert given < 60


def test_colours_become_what_the_model_eats():
    red = np.zeros((4, 4, 3), np.uint8) + np.array([200, 0, 0], np.uint8)
    data = io.BytesIO()
    Image.fromarray(red).save(data, "PNG")
    assert predictor((4, 4, 1)).pixels(data.getvalue()).ravel().tolist() == [60] * 16  # 0.299 of 200
    assert predictor((4, 4, 3)).pixels(data.getvalue()).tolist() == red.tolist()
    grey = io.BytesIO()
    Image.fromarray(red[..., 0]).save(grey, "PNG")
    assert (predictor((4, 4, 3)).stacked([grey.getvalue()]) == 200).all()


def test_where_paths_come_from(folder):
    (folder / "below").mkdir()
    (folder / "03.png").rename(folder / "below" / "03.PNG")
    (folder / ".hidden.png").write_bytes(b"")
    assert len(list(files_of([str(folder)]))) == 26
    assert list(files_of([str(folder / "0[12].png")])) == [str(folder / "01.png"), str(folder / "02.png")]
    assert list(files_of([str(folder / "**" / "03*")])) == [str(folder / "below" / "03.PNG")]
    assert list(files_of(["a.png", "-"], ["b.png\n", "\n", "c d.png\n"])) == ["a.png", "b.png", "c d.png"]
    (folder / "empty").mkdir()
    for nothing in (folder / "empty", folder / "*.gif"):
        with pytest.raises(InputError, match="none"):
            list(files_of([str(nothing)]))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    images, labels = pictures(side=8)
    forest = make_pipeline(PixelFeatures(longest=6), RandomForestClassifier(5, random_state=0)).fit(images, labels)
    return toolkit.save(forest, tmp_path_factory.mktemp("run") / "model", class_names=["a", "b", "c"])


def ask(*arguments, given=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given, catch_exceptions=False)


def test_a_bad_file_is_a_row_and_the_exit_status(folder, model):
    done = ask("predict", model, folder, "--format", "csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.exit_code == 1
    assert [row["path"] for row in rows if row["error"]] == [str(folder / "07.png"), str(folder / "19.png")]
    classifier = toolkit.load_model(model)
    image = np.full((1, 8, 8, 1), 30, np.uint8)
    assert_allclose(float(rows[3]["probability"]), classifier.predict_proba(image).max(), atol=1e-6)  # six decimals
    assert float(rows[3]["probability"]) >= float(rows[3]["probability_2"])
    assert {row["label"] for row in rows if not row["error"]} <= {"a", "b", "c"}
    assert ask("predict", model, folder / "03.png").exit_code == 0


def test_paths_on_standard_input_and_lines_of_json(folder, model):
    done = ask(
        "predict", model, "-", "--format", "jsonl", "--threshold", 1, given=f"{folder}/01.png\n{folder}/no.png\n"
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 1
    assert first["path"] == f"{folder}/01.png"
    assert first["label"] is None or first["top"][0]["probability"] == 1
    assert "No such file" in second["error"]


def test_a_table_line_for_each_file(folder, model):
    lines = ask("predict", model, folder / "01.png", folder / "07.png").stdout.splitlines()
    assert str(folder / "01.png") in lines[0]
    assert "empty" in lines[1]


class Silent(Brightness):
    """Answers with what is no number where the picture is black."""

    def predict_proba(self, images):
        answer = super().predict_proba(images)
        answer[images.reshape(len(images), -1).max(axis=1) == 0] = np.nan
        return answer


def test_an_answer_that_is_no_number_is_a_row_with_its_error(folder):
    one = Predictor(Silent(), (8, 8, 1), ("dark", "bright"))
    first, second = one.predict([str(folder / "00.png"), str(folder / "01.png")], threshold=0.5)
    assert (first.labels, first.probabilities, first.abstained) == ((), (), False)
    assert "no number" in first.error
    assert second.labels == ("dark",)


def test_paths_that_come_slowly_are_answered_as_they_come(folder):
    """The next path is sent only when the last is answered: it would wait for ever if answers waited for a batch."""
    sent = queue.Queue()
    rows = predictor().predict(iter(sent.get, None), batch=512, threads=2, waiting=True)
    for number in (3, 25, 7, 1):
        sent.put(str(folder / f"{number:02d}.png"))
        row = next(rows)
        assert Path(row.path).name == f"{number:02d}.png"
        assert bool(row.error) == (number == 7)
    sent.put(None)
    assert list(rows) == []


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (3, 2), (1000, 2)])
def test_rows_from_a_pipe_are_those_of_a_list(folder, batch, threads):
    paths = [str(path) for path in sorted(folder.glob("*.png"))]
    piped = list(predictor().predict(iter(paths), batch=batch, threads=threads, waiting=True))
    assert piped == list(predictor().predict(paths))


def test_a_mistake_among_the_paths_of_a_pipe_is_raised(folder):
    with pytest.raises(InputError, match="none"):
        list(predictor().predict(files_of([str(folder / "01.png"), str(folder / "*.gif")]), waiting=True))


def test_odd_names_stay_one_row_in_each_format(folder, model):
    odd = folder / 'a, "b"\n\x1b[31mred.png'
    odd.write_bytes((folder / "03.png").read_bytes())
    (row,) = csv.DictReader(io.StringIO(ask("predict", model, odd, "--format", "csv").stdout))
    assert row["path"] == json.loads(ask("predict", model, odd, "--format", "jsonl").stdout)["path"] == str(odd)
    (line,) = ask("predict", model, odd).stdout.splitlines()
    assert r"\n\x1b[31mred.png" in line


def test_the_best_label_is_told_beside_the_abstention(folder, model):
    command = ("predict", model, folder / "01.png", "--threshold", 1)
    (row,) = csv.DictReader(io.StringIO(ask(*command, "--format", "csv").stdout))
    told = json.loads(ask(*command, "--format", "jsonl").stdout)
    assert (row["label"], row["abstained"]) == (told["top"][0]["label"], str(int(told["abstained"])))


def test_a_card_that_is_not_the_classifiers_is_refused(model, tmp_path):
    classifier, card = toolkit.load_model(model), toolkit.read_card(model)
    for change, words in (
        ({"image_shape": [8, 9, 1]}, "as in fit"),
        ({"classes": [0, 1]}, "3 classes"),
        ({"class_names": 5}, "class_names"),
    ):
        with pytest.raises(InputError, match=words):
            Predictor.of(classifier, {**card, **change})


class Picky(Brightness):
    """Takes no picture, as baselines say it."""

    def predict_proba(self, images):
        raise ValueError("Expected images of\nanother kind.")


def test_what_the_model_does_not_take_is_one_line(folder):
    with pytest.raises(InputError, match="of another kind") as raised:
        list(Predictor(Picky(), (8, 8, 1), ("dark", "bright")).predict([str(folder / "01.png")]))
    assert "\n" not in str(raised.value)


def test_a_model_that_tells_no_size_is_refused(folder, model, tmp_path):
    card = {**toolkit.read_card(model), "image_shape": None}
    with pytest.raises(InputError, match="image_shape"):
        Predictor.of(Brightness(), card)


def test_latency_is_told(model):
    told = json.loads(ask("bench", model, "--seconds", 0.1, "--json").stdout)
    assert told["one_image_p50_seconds"] > 0
    assert told["threads"] >= 1
