"""The report as a file: complete, safe against markup in names, tolerant of what is missing, clear about damage."""

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from made_runs import explain_run, make_run

from toolkit.cli.asked import shows_from
from toolkit.errors import InputError
from toolkit.pair_table import span
from toolkit.report import keep_images, rows_to_explain, write_figures, write_report, write_tables
from toolkit.report.figures.classes import aside, class_scores
from toolkit.report.figures.confusion import LEVELS, confusion_figure, shade, worst_mistakes
from toolkit.report.figures.cost import PRICES, front, place_labels
from toolkit.report.figures.selective import thinned
from toolkit.report.gallery import by_interest, chapters
from toolkit.report.reading import read_runs
from toolkit.report.svg import Scale
from toolkit.report.tables import pairs_table
from toolkit.report.text import fixed, points, points_needed, seconds, shortened, size
from toolkit.report.verdict import verdict

EVIL = '<script>alert("x")</script>'
NAMES = ("cnn", "hog_svm", "lbp & <b>svm</b>")


class Page(HTMLParser):
    """The tags, scripts and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.tags, self.text, self.links = [], [], [], []
        self.within = []
        self.feed(text)
        self.visible = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.within.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "data", "srcset")]
        if tag in ("meta", "link", "img", "br", "input"):
            self.within.pop()

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data):
        where = self.within[-1] if self.within else ""
        if where == "script":
            self.scripts.append(data)
        elif where != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    return make_run(folder, names=NAMES, class_names=("daisy", EVIL, "rose", "tulip"), rows=160, side=24, skill=3.0)


@pytest.fixture
def run(made, tmp_path):
    """A copy that a test may damage."""
    import shutil

    return shutil.copytree(made.folder, tmp_path / "run")


def change(run, **entries):
    comparison = json.loads((run / "comparison.json").read_text())
    (run / "comparison.json").write_text(json.dumps({**comparison, **entries}))


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    path = write_report([made.folder], tmp_path_factory.mktemp("page") / "report.html", images=[made.images])
    return Page(path.read_text())


def test_every_section_is_there(page):
    for heading in ("Leaderboard", "How sure", "Cost against accuracy", "Confusion", "Is it as sure", "Class by class"):
        assert heading in page.visible
    for heading in ("Brier score", "If it answered only when sure", "from 70 % sure", "Where it works"):
        assert heading in page.visible
    for heading in ("Learning", "Where they disagree", "Confident errors", "What all get wrong", "Run it again"):
        assert heading in page.visible
    for word in ("0123456789abcdef" * 4, "touchstone compare", "keras 3.15.1", "a processor", "class 00/broken.jpg"):
        assert word in page.visible


def test_a_temperature_is_shown_before_and_after_or_why_there_is_none(page, run, tmp_path):
    heading, said = "If one temperature corrected it", "1.37 on 213 images 0.600 0.500..0.700"
    for words in (heading, said, "its own fit calibrates it"):
        assert words in page.visible
    entries = json.loads((run / "comparison.json").read_text())["contestants"]
    for entry in entries.values():
        entry["made_of"].pop("calibrated")
    change(run, contestants=entries)
    assert "no images held back" in Page(write_report([run], tmp_path / "plain.html").read_text()).visible
    for entry in entries.values():  # as an older version wrote it
        entry["calibration"].pop("temperature", None)
    change(run, contestants=entries)
    older = Page(write_report([run], tmp_path / "older.html").read_text()).visible
    assert heading not in older
    assert "Brier score" in older


def test_nothing_comes_from_elsewhere(page):
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in page.links)
    assert not {"link", "iframe", "object", "embed", "base"} & set(page.tags)


def test_markup_in_names_is_text(page):
    assert EVIL in page.visible
    assert "lbp & <b>svm</b>" in page.visible
    assert "b" not in page.tags
    data, program = page.scripts
    assert '"use strict"' in program
    assert json.loads(data)["classes"][1] == EVIL


def test_the_clicks_find_every_image(made, page):
    data = json.loads(page.scripts[0])
    assert sorted(data["labels"]) == sorted(made.labels.tolist())
    assert all(data["pictures"])
    for index, flat in data["counts"].items():
        assert sum(flat[1::2]) == len(made.labels)
        pairs = zip(data["labels"], data["answers"][index]["predicted"], strict=True)
        cells = [4 * label + predicted for label, predicted in pairs]
        counted = dict(zip(flat[::2], flat[1::2], strict=True))
        assert counted == {cell: cells.count(cell) for cell in set(cells)}


def test_without_images_it_says_so(made, tmp_path):
    page = Page(write_report([made.folder], tmp_path / "report.html").read_text())
    assert "No pictures were at hand" in page.visible
    assert "img" not in page.tags


def test_images_kept_beside_the_run_are_found_again(made, run, tmp_path, page):
    keep_images(run, made.images)
    again = Page(write_report([run], tmp_path / "report.html").read_text())
    assert json.loads(again.scripts[0])["pictures"] == json.loads(page.scripts[0])["pictures"]
    (run / "thumbnails.npz").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match=r"Expected thumbnails in .*thumbnails.npz"):
        write_report([run], tmp_path / "other.html")


def test_images_of_the_source_are_found(run, tmp_path, made):
    from PIL import Image

    source = tmp_path / "source"
    (source / "c").mkdir(parents=True)
    names = np.array([f"c/{row}.png" for row in range(len(made.labels))])
    for row in (0, 1, 2):
        Image.fromarray(made.images[row]).save(source / names[row])
    (source / "c" / "3.png").write_text("no picture")
    names[4] = "../secret.png"
    Image.fromarray(made.images[4]).save(tmp_path / "secret.png")
    comparison = json.loads((run / "comparison.json").read_text())
    change(run, data={**comparison["data"], "source": str(source)})
    for entry in comparison["contestants"].values():
        path = run / entry["folder"] / "predictions.npz"
        alter(path, names=names)
    data = json.loads(Page(write_report([run], tmp_path / "report.html").read_text()).scripts[0])
    found = {name for name, picture in zip(data["names"], data["pictures"], strict=True) if picture}
    assert found == {"c/0.png", "c/1.png", "c/2.png"}  # not the text, and nothing outside of the source


def test_explanations_stand_side_by_side(run, made, tmp_path):
    rows = rows_to_explain(run, 5)
    assert len(set(rows.tolist())) == 5
    shown = [set(chapter.rows) for chapter in chapters(read_runs([run])[0])]
    assert all(set(rows.tolist()) & chapter for chapter in shown)  # every chapter has its share
    explain_run(run, rows)
    text = write_report([run], tmp_path / "report.html", images=[made.images]).read_text()
    assert "occlusion" in Page(text).visible
    for card in re.findall(r'<article class="card explained">.*?</article>', text, re.DOTALL):
        assert card.count("occlusion") == len(NAMES)  # the same image, all contestants
        assert card.count('src="data:image/webp;base64,') == 1 + len(NAMES) + 1  # the image, heat for all, one's own
    assert text.count('<article class="card explained">') >= 5


@pytest.mark.parametrize(
    "maps", [np.zeros((2, 6, 6), np.float32), np.zeros((1, 6, 6), np.uint8), np.zeros(2, np.uint8)]
)
def test_other_explanations_are_refused(run, made, tmp_path, maps):
    np.savez(run / "cnn" / "explanations.npz", rows=np.array([0, 1]), occlusion=maps)
    with pytest.raises(InputError, match=r"Expected maps uint8 \(R, h, w\) .*for 2 rows"):
        write_report([run], tmp_path / "report.html", images=[made.images])


def test_groups_name_the_worst(page, run, tmp_path):
    assert "Where it works" in page.visible
    assert "Worse than the rest by more than chance: north for hog_svm." in page.visible
    assert "<i>east</i>" in page.visible
    assert "i" not in page.tags
    comparison = json.loads((run / "comparison.json").read_text())
    for entry in comparison["contestants"].values():
        for line in entry["by_group"]["site"]:
            line["verdict"] = "cannot tell"
    change(run, contestants=comparison["contestants"])
    assert "it may be chance" in Page(write_report([run], tmp_path / "report.html").read_text()).visible


def test_the_audit_stands_in_brief(run, tmp_path):
    findings = [
        {"kind": "leak", "severity": "error", "detail": "in train and test", "names": [f"{i}.png" for i in range(9)]},
        *({"kind": "dark", "severity": "warning", "detail": "hardly lit", "names": [f"d{i}.png"]} for i in range(7)),
        {"kind": "note", "severity": "note", "detail": "said elsewhere", "names": []},
    ]
    (run / "audit.json").write_text(json.dumps({"images": 640, "findings": findings}))
    seen = Page(write_report([run], tmp_path / "report.html").read_text()).visible
    assert "leak (error) 0.png, 1.png, 2.png and 6 more: in train and test" in seen
    assert "d0.png: hardly lit" in seen
    assert "and 4 more" in seen
    assert "d5.png" not in seen
    assert "said elsewhere" not in seen
    (run / "audit.json").write_text(json.dumps({"images": 640, "findings": []}))
    assert (
        "640 images looked at, nothing found" in Page(write_report([run], tmp_path / "again.html").read_text()).visible
    )


def test_the_diagnosis_stands_beside_the_curves(page):
    assert "Over-fitting. The gap grew from epoch 6 on." in page.visible
    assert "What to change, the likeliest first: Augment" in page.visible


def test_several_runs_stand_side_by_side(made, run, tmp_path):
    change(run, data={**json.loads((run / "comparison.json").read_text())["data"], "source": "another set"})
    path = write_report([made.folder, run], tmp_path / "both.html", images=[made.images, None])
    page = Page(path.read_text())
    assert "2 runs side by side" in page.visible
    assert page.visible.count("Run it again") == 2
    assert "another set" in page.visible
    assert "judged on the same rows" in page.visible
    identifiers = re.findall(r'\bid="([^"]+)"', path.read_text())
    assert len(identifiers) == len(set(identifiers))


def test_runs_of_other_rows_say_that_they_form_no_pairs(made, run, tmp_path):
    data = json.loads((run / "comparison.json").read_text())["data"]
    change(run, data={**data, "sha256": "f" * 64})
    for path in run.glob("*/predictions.npz"):
        alter(path, manifest=np.array("f" * 64))
    page = Page(write_report([made.folder, run], tmp_path / "both.html").read_text())
    assert "judged on different rows" in page.visible
    assert {f"made flowers, {folder.name}" for folder in (made.folder, run)} <= set(page.text)  # of one source
    assert "no pairs are formed between them" in page.visible


def test_what_a_run_lacks_is_left_out(run, tmp_path, made):
    (run / "hog_svm" / "predictions.npz").unlink()
    (run / "cnn" / "contestant.json").unlink()
    comparison = json.loads((run / "comparison.json").read_text())
    for entry in comparison["contestants"].values():
        kept = {key: entry[key] for key in ("accuracy", "folder", "settings")}
        entry.clear()
        entry.update(kept)
    bare = {key: comparison[key] for key in ("data", "contestants")}
    (run / "comparison.json").write_text(json.dumps(bare))
    page = Page(write_report([run], tmp_path / "report.html", images=[made.images]).read_text())
    assert "The predictions of hog_svm are missing" in page.visible
    assert "Learning" not in page.visible
    assert "Leaderboard" in page.visible


def damages(run):
    """What may be wrong with a run, and words of the one line that must say so."""
    yield "half finished", lambda: (run / "comparison.json").unlink()
    yield "that of a `train`", lambda: [(run / "comparison.json").rename(run / "training.json")]
    yield "comparison.json", lambda: (run / "comparison.json").write_text("{half")
    yield "'data' and 'contestants'", lambda: (run / "comparison.json").write_text("[]")
    yield "comparison.json", lambda: [(run / name).unlink() for name in ("comparison.json", "run.json")]
    yield "predictions.npz", lambda: (run / "cnn" / "predictions.npz").write_bytes(b"PK")
    cnn = run / "cnn" / "predictions.npz"
    labels, told = np.load(cnn)["labels"], np.load(cnn)["probabilities"]
    yield "one test set", lambda: alter(cnn, labels=labels[::-1])
    yield "one test set", lambda: alter(cnn, names=np.load(cnn)["names"][::-1])
    yield "data manifest", lambda: alter(cnn, manifest=np.array("e" * 64))
    yield "softmax", lambda: alter(cnn, probabilities=np.log(told))
    yield "NaN", lambda: alter(cnn, probabilities=np.where(told > 0.9, np.nan, told))
    yield "labels from 0 to 3", lambda: alter(cnn, labels=labels + 1)
    yield "swapped", lambda: alter(cnn, labels=told, probabilities=labels)
    yield "4 class names", lambda: alter(cnn, class_names=np.array(["a", "b", "c"]))
    yield "accuracy", lambda: change(run, contestants={"cnn": {"folder": "cnn"}})


def alter(path, **arrays):
    """Write a predictions.npz again with other arrays in it."""
    stored = dict(np.load(path))
    np.savez(path, **{**stored, **arrays})


@pytest.mark.parametrize("number", range(15))
def test_damage_is_one_line(run, tmp_path, number):
    words, damage = list(damages(run))[number]
    damage()
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        write_report([run], tmp_path / "report.html")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.glob("report.html*"))


def test_other_images_are_refused(made, tmp_path):
    for images in (made.images[:-1], made.images.astype(float), made.images[..., 0]):
        with pytest.raises(InputError, match=r"Expected the 160 test images as uint8 .*Received"):
            write_report([made.folder], tmp_path / "report.html", images=[images])
    with pytest.raises(InputError, match=r"each of the 1 runs"):
        write_report([made.folder], tmp_path / "report.html", images=[made.images, None])
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(InputError, match="folder that is there"):
        write_report([made.folder], tmp_path / "nowhere" / "report.html")


def test_tables_for_papers(made, tmp_path):
    markdown = write_tables([made.folder], tmp_path / "table.md", "md").read_text()
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 4 * (2 + 3)  # leaderboard of three, their costs, temperatures, three pairs
    assert any(row.startswith("| cnn | 1.37, on 213 images | ") for row in rows)
    assert all(line.count(" | ") == rows[0].count(" | ") for line in rows[:5])
    assert "lbp \\& \\<b\\>svm\\</b\\>" in markdown
    latex = write_tables([made.folder], tmp_path / "table.tex", "tex").read_text()
    assert latex.count(r"\begin{table*}") == latex.count(r"\end{table*}") == 4
    assert r"lbp \& \textless{}b\textgreater{}svm\textless{}/b\textgreater{}" in latex
    assert r"    {}hog\_svm" in latex  # a name that began with [ would be an option of the line before
    assert latex.isascii()
    with pytest.raises(InputError, match="Unknown format 'docx'"):
        write_tables([made.folder], tmp_path / "table.docx", "docx")


def test_several_runs_have_room_in_one_file(run, made, tmp_path, monkeypatch):
    runs, images = [made.folder, run], [made.images, made.images]
    whole = write_report(runs, tmp_path / "whole.html", images=images).stat().st_size
    bare = write_report(runs, tmp_path / "bare.html").stat().st_size
    gallery = 400 * len(made.labels)  # whose pictures are shown before any other
    monkeypatch.setattr("toolkit.report.html.MOST_BYTES", most := (whole + bare) // 2)
    assert bare < write_report(runs, tmp_path / "less.html", images=images).stat().st_size < most + gallery
    monkeypatch.setattr("toolkit.report.html.MOST_BYTES", 0)
    assert write_report(runs, tmp_path / "none.html", images=images).stat().st_size < bare + gallery


def test_rows_that_share_groups_are_said_to(run, tmp_path):
    assert "McNemar test over" not in write_tables([run], tmp_path / "table.md", "md").read_text()
    data = json.loads((run / "comparison.json").read_text())["data"]
    change(run, data={**data, "clusters": 31})
    assert (
        "McNemar test over the 31 groups that rows share"
        in write_tables([run], tmp_path / "table.md", "md").read_text()
    )
    assert "Rows share 31 groups" in write_report([run], tmp_path / "report.html").read_text()


def test_every_figure_is_a_file_of_its_own(made, tmp_path):
    pytest.importorskip("resvg_py", reason="PNG figures need the extra 'figures'")
    from PIL import Image

    written = write_figures(made.folder, tmp_path / "figures")
    names = {path.stem for path in written}
    assert {"forest", "differences", "classes", "cost_fit", "confusion_cnn", "reliability_hog_svm", "loss_cnn"} <= names
    for path in written:
        if path.suffix == ".svg":
            text = path.read_text()
            ElementTree.fromstring(text)  # well formed, so a program for drawings can open it
            assert "var(" not in text
        else:
            with Image.open(path) as picture:
                assert min(picture.size) > 200
                assert len(picture.convert("L").getcolors()) > 8  # something is drawn


def test_png_without_the_extra_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(InputError, match=r"resvg_py.*figures"):
        write_figures(made.folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
    assert write_figures(made.folder, tmp_path / "figures", png=False)


def test_the_verdict_answers_the_question(made, run):
    first, second = verdict(read_runs([made.folder])[0])
    assert first.startswith("cnn is the most accurate, with ")
    assert "of 160 test images" in first
    assert "cnn" in second
    assert "hog_svm" in second
    assert "needs 3.3 times the time of hog_svm for an image and 2.7 times as long to fit" in second
    pairs = json.loads((run / "comparison.json").read_text())["pairs"]
    change(run, pairs=[{**pair, "verdict": "cannot tell", "holm_p": 1.0} for pair in pairs])
    first, second = verdict(read_runs([run])[0])
    assert "cannot tell it from hog_svm and lbp & <b>svm</b> (a difference would show from " in first
    assert "cannot tell (a difference would show from " in second


def test_the_verdict_names_a_network_as_good_for_less(tmp_path):
    run = make_run(tmp_path / "run", names=("deit_tiny", "cnn", "hog_svm"), rows=60).folder
    comparison = json.loads((run / "comparison.json").read_text())
    for pair in comparison["pairs"]:
        pair["verdict"] = "cannot tell" if {pair["a"], pair["b"]} == {"deit_tiny", "cnn"} else "deit_tiny is better"
    for name, cost in (("deit_tiny", 0.02), ("cnn", 0.005), ("hog_svm", 0.001)):
        comparison["contestants"][name]["cost"]["batch_seconds_per_image"] = cost
    change(run, **comparison)
    assert "points on), which needs 25 % of its time for an image." in verdict(read_runs([run])[0])[0]
    comparison["contestants"]["cnn"]["cost"]["batch_seconds_per_image"] = 0.019
    change(run, **comparison)
    assert "of its time" not in verdict(read_runs([run])[0])[0]


def test_pairs_stand_by_rank_the_better_one_first(made):
    (run,) = read_runs([made.folder])
    table = pairs_table(run)
    places = [entrant.name for entrant in run.entrants]
    named = [tuple(row[0].split(" − ")) for row in table.rows]
    assert named == list(combinations(places, 2))
    assert not any(row[1].startswith("−") for row in table.rows)
    run.comparison["cochran"] = {"q": 74.83, "p": 2e-15}
    assert pairs_table(run).caption.endswith("Cochran’s Q 74.8, p < 0.001.")


def test_a_curve_of_many_points_is_drawn_with_few():
    points = [(index / 50, 100 + 30 * np.sin(index / 2000)) for index in range(10_001)]
    drawn = np.array(thinned(points))
    assert len(drawn) < 300
    assert tuple(drawn[0]) == points[0]
    assert tuple(drawn[-1]) == points[-1]
    xs, ys = np.array(points).T
    assert np.abs(np.interp(xs, *drawn.T) - ys).max() < 1


def test_signs_that_would_cover_each_other_step_aside():
    places = [10.0, 50.0, 10.5, 52.0, 51.0, 90.0]
    lifts = aside(places, 8.0, 6.0)
    spots = list(zip(places, lifts, strict=True))
    assert lifts[5] == 0
    assert max(map(abs, lifts)) <= 6
    assert all(abs(x - u) + abs(y - v) >= 6 for index, (x, y) in enumerate(spots) for u, v in spots[:index])


def test_the_front_is_what_nobody_beats_in_both(made):
    (run,) = read_runs([made.folder])
    for price in PRICES:
        known = [(price.of(e), -e.metric("accuracy").value, e.name) for e in run.entrants if price.of(e)]
        beaten = {
            name
            for cost, loss, name in known
            if any((c <= cost and loss_ < loss) or (c < cost and loss_ <= loss) for c, loss_, _ in known)
        }
        assert {entrant.name for entrant in front(run, price)} == {name for *_, name in known} - beaten


def test_the_gallery_shows_what_it_says(made):
    (run,) = read_runs([made.folder])
    right = np.stack([entrant.predicted == run.labels for entrant in run.entrants])
    found = {chapter.key: list(chapter.rows) for chapter in chapters(run)}
    assert (right[:, found["disagree"]].any(axis=0) & ~right[:, found["disagree"]].all(axis=0)).all()
    assert not right[:, found["confident"]].all(axis=0).any()
    assert not right[:, found["nobody"]].any()
    sure = np.max(
        [np.where(entrant.predicted == run.labels, 0, entrant.confidence) for entrant in run.entrants], axis=0
    )
    assert sure.argmax() in found["confident"]
    order = by_interest(run)
    assert sorted(order.tolist()) == list(range(len(run.labels)))


def test_shades_and_mistakes_of_a_confusion_matrix():
    matrix = np.array([[9, 1, 0], [0, 0, 0], [3, 2, 95]])
    levels = shade(matrix)
    assert (levels[matrix == 0] == -1).all()
    assert levels.max() < LEVELS
    assert levels[2, 2] > levels[2, 0] >= levels[2, 1]
    mistakes = [(one.true, one.predicted, one.count, one.share) for one in worst_mistakes(matrix)]
    assert mistakes == [(2, 0, 3, 0.03), (2, 1, 2, 0.02), (0, 1, 1, 0.1)]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.931, 0.938), (-31.2, 0.7), (1e-9, 2e-9)])
def test_ticks_are_few_and_inside(low, high):
    ticks = Scale(low, high, 0, 100).ticks(6)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 * abs(low) <= tick <= high + 1e-9 * abs(high) for tick in ticks)
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_names_of_points_do_not_cover_each_other():
    points = [(100.0, 50.0), (104.0, 52.0), (108.0, 49.0), (300.0, 50.0)]
    places = place_labels(points, [60.0] * 4, 0, 320)
    boxes = [(x, y - 11, x + 60, y + 3) for x, y in places]
    for index, one in enumerate(boxes):
        assert one[2] <= 320
        for other in boxes[:index]:
            assert min(one[2], other[2]) <= max(one[0], other[0]) or min(one[3], other[3]) <= max(one[1], other[1])


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (seconds(0.00042), "0.42 ms"),
        (seconds(0.35), "350 ms"),
        (seconds(35), "35 s"),
        (seconds(250), "4.2 min"),
        (seconds(None), "–"),
        (size(900_000), "900 kB"),
        (size(3_400_000), "3.4 MB"),
        (shortened("a_rather_long_name.jpg", 12), "a_rathe….jpg"),
        (fixed(-0.04, 1), "0.0"),
        (fixed(-0.06, 1), "−0.1"),
    ],
)
def test_numbers_carry_their_units(said, wanted):
    assert said == wanted


def test_the_command_writes_all_formats(made, tmp_path):
    def touchstone(*arguments):
        command = [sys.executable, "-m", "toolkit", "report", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    for format in ("html", "md", "tex"):
        done = touchstone(made.folder, "--format", format, "--out", tmp_path / f"report.{format}")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"report.{format}").stat().st_size > 1000
    for arguments, words in (((tmp_path,), "comparison.json"), ((made.folder, "--format", "pdf"), "pdf")):
        done = touchstone(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert words in done.stderr


def together(run, better, lead=0.02):
    """Make the first contestant an ensemble of the other two, better or not to be told from the best of them."""
    comparison = json.loads((run / "comparison.json").read_text())
    first, second, third = comparison["contestants"]
    for name, network, members in ((first, True, [second, third]), (second, True, []), (third, False, [])):
        comparison["contestants"][name] |= {"made_of": {"network": network, "members": members}}
        comparison["contestants"][name]["settings"]["type"] = "Voting"
    for pair in comparison["pairs"]:
        if {pair["a"], pair["b"]} == {first, second}:
            sign = 1 if pair["a"] == first else -1
            pair |= {"difference": sign * lead, "verdict": f"{first} is better" if better else "cannot tell"}
            pair |= {"low": sign * lead - 0.01, "high": sign * lead + 0.01, "smallest_difference": 0.015}
    change(run, **comparison)
    return verdict(read_runs([run])[0])


def test_the_verdict_says_whether_an_ensemble_is_worth_its_cost(tmp_path):
    run = make_run(tmp_path / "run", names=("voting", "cnn", "hog_svm"), rows=60).folder
    _, second, third = together(run, better=True)
    assert "The ensemble voting is 2.0 points (1.0 to 3.0), p " in third
    assert "ahead of its best member, cnn (a difference would show from 1.5 points on), and needs " in third
    assert "times the time of cnn for an image" in third
    assert "cnn" in second  # the best network is one, and no ensemble of some
    assert "hog_svm" in second
    third = together(run, better=False)[2]
    assert third.startswith(
        "Whether the ensemble voting is better than its best member, cnn, these images cannot tell:"
    )
    assert "+2.0 points (1.0 to 3.0), p " in third


def test_a_network_inside_counts_as_one(tmp_path):
    run = make_run(tmp_path / "run", names=("resnet50_svm", "hog_svm"), rows=60).folder
    comparison = json.loads((run / "comparison.json").read_text())
    comparison["contestants"]["resnet50_svm"]["made_of"] = {"network": True, "members": []}
    change(run, **comparison)
    (read,) = read_runs([run])
    assert {entrant.name: entrant.deep for entrant in read.entrants} == {"resnet50_svm": True, "hog_svm": False}


def test_every_verdict_has_the_smallest_difference_beside_it(made, run):
    pairs = json.loads((run / "comparison.json").read_text())["pairs"]
    best = read_runs([run])[0].entrants[0].name
    for ahead in (True, False):
        told = [{**pair, "verdict": f"{best if ahead else 'hog_svm'} is better"} for pair in pairs]
        change(run, pairs=told)
        for sentence in verdict(read_runs([run])[0]):
            assert "a difference would show from " in sentence


@pytest.mark.parametrize("smallest", [0.0875, 0.0871, 1 / 8, 7 / 1000, 8 / 7000, 1.0])
def test_terminal_and_report_tell_one_smallest_difference_and_none_that_would_not_show(smallest):
    told = float(span([smallest]))
    assert smallest - 1e-9 <= told < smallest + 1e-3
    assert shows_from(smallest) == f"{told:.3f}"
    assert points_needed(smallest) == f"{100 * told:.1f}"
    assert points(smallest) == f"{100 * float(f'{smallest:.3f}'):.1f}"  # half a digit goes the same way, too
    assert (span([float("inf")]), shows_from(float("inf")), points_needed(None)) == ("nothing", "nothing", "–")


def test_a_run_given_twice_is_refused(made):
    with pytest.raises(InputError, match="every run once"):
        read_runs([made.folder, made.folder / ".." / made.folder.name])


def test_ticks_of_classes_that_lie_close_together_are_told_apart(tmp_path):
    (run,) = read_runs([make_run(tmp_path / "run", names=("cnn", "hog_svm"), rows=200).folder])
    ticks = Counter(re.findall(r">(0\.\d+|1\.0+)</text>", class_scores(run, 1000.0)))
    assert len(ticks) > 3
    assert set(ticks.values()) == {2}  # above and below


def test_many_classes_are_named_one_in_ten(tmp_path):
    run = make_run(tmp_path / "run", names=("cnn",), classes=60, rows=240)
    (read,) = read_runs([run.folder])
    drawn = str(confusion_figure(read, read.entrants[0], 620.0))
    assert [name for name in run.class_names if name in drawn] == list(run.class_names[::10])
