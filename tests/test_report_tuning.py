"""What a report says of tuning and of several seeds: budget, spending, spread and verdicts, in every format."""

import json

import pytest

from tests.made_runs import make_run
from tests.pretend import bowl, pretend_data
from tests.test_fair_tuning import touchstone
from toolkit.errors import InputError
from toolkit.evaluation import compare_recipes
from toolkit.repeats import Repeats
from toolkit.report import write_report, write_search, write_tables
from toolkit.runs import write_json
from toolkit.tuning import tune

NAMES = ("cnn", "hog_svm", "lbp_svm")


@pytest.fixture
def run(tmp_path):
    """A made run, two of its three contestants tuned, over three seeds."""
    folder = make_run(tmp_path / "run", names=NAMES, rows=60).folder
    comparison = json.loads((folder / "comparison.json").read_text())
    spent = {"failed": 1, "pruned": 3, "seconds": 130.0, "best_trial": 4, "best_score": 0.1234, "values": {}}
    comparison["tuning"] = {
        "budget": {"trials": 15, "seconds": 600},
        "objective": "log_loss",
        "method": "bayesian",
        "folds": 0,
        "contestants": {"hog_svm": {"trials": 15, **spent}, "cnn": {"trials": 9, **spent}},
        "untuned": ["lbp_svm"],
    }
    write_json(folder / "comparison.json", comparison)
    scores = {"cnn": (0.91, 0.93, 0.92), "hog_svm": (0.90, 0.92, 0.91), "lbp_svm": (0.5, 0.52, 0.51)}
    pairs = compare_recipes(scores, test_rows=60, train_rows=180)
    write_json(folder / "seeds.json", Repeats("accuracy", (0, 1, 2), scores, pairs, tuned_on=0).to_dict())
    return folder


def test_the_report_states_the_budget_what_was_spent_and_found(run, tmp_path):
    page = write_report([run], tmp_path / "report.html").read_text()
    assert "Settings chosen by log_loss on the same validation rows, method bayesian." in page
    assert "Budget for each: 15 trials or 600 s, whichever is over first. Not tuned: lbp_svm." in page
    assert 'href="#run0-tuning"' in page
    row = "".join(
        f"<td>{cell}</td>" for cell in ("15 trials or 600 s, whichever is over first", 9, 1, 3, "2.2 min", 0.1234, 4)
    )
    assert f"<td>cnn</td>{row}" in page


def test_the_report_shows_scores_and_pairs_over_seeds(run, tmp_path):
    page = write_report([run], tmp_path / "report.html").read_text()
    assert "Over 3 seeds and splits" in page
    assert "Settings were tuned once, on the validation rows of seed 0" in page
    cells = ("cnn", "0.9200", "0.0100", "0.9100", "0.9300", "0.9100", "0.9300", "0.9200")
    assert "".join(f"<td>{cell}</td>" for cell in cells) in page
    assert "<td>cnn − lbp_svm</td>" in page
    assert "<td>cnn is better</td>" in page


@pytest.mark.parametrize("format", ["md", "tex"])
def test_tables_for_papers_have_both(run, tmp_path, format):
    text = write_tables([run], tmp_path / f"report.{format}", format).read_text().replace("\\", "")
    assert "Budget for each: 15 trials or 600 s" in text
    assert "on the test rows over 3 seeds and splits" in text


def test_a_run_without_either_says_nothing_of_them(tmp_path):
    folder = make_run(tmp_path / "run", names=NAMES, rows=60).folder
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert 'id="run0-tuning"' not in page
    assert 'id="run0-seeds"' not in page


def test_the_report_of_a_search_is_its_page(tmp_path):
    tune(bowl, pretend_data(), trials=2, out=tmp_path / "search", workers=0)
    told = touchstone("report", tmp_path / "search")
    assert told.exit_code == 0, told.exception
    assert "search.html" in told.output
    assert (tmp_path / "search" / "search.html").is_file()
    told = touchstone("report", tmp_path / "search", "--format", "md")
    assert "Expected --format html" in str(told.exception)
    with pytest.raises(InputError, match="is that of a search; report it alone"):
        write_report([tmp_path / "search"], tmp_path / "report.html")
    (tmp_path / "search" / "search.json").write_text("{}")
    with pytest.raises(InputError, match="Received other JSON"):
        write_search(tmp_path / "search")
