"""The commands that judge what was written: evaluate, report. Neither needs a model or images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import Confidence, Json, Resamples, Seed, app, terminal, wake_keras
from toolkit.errors import InputError, unknown
from toolkit.runs import Predictions, check_together, read_predictions

MOST_CLASSES = 30  # that are shown one by one; --json has them all


@app.command()
def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(help="RUN/NAME/predictions.npz, or your own with labels and probabilities; two or more: pairs."),
    ],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Judge each value of a column of the manifest by itself.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Rows of one value count together, in intervals and tests. [group]"),
    ] = None,
    stratify: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows were drawn within each value; class: within each class.")
    ] = None,
    method: Annotated[str, typer.Option(help="Of the intervals: score, or by bootstrap: percentile or bca.")] = "score",
    metric: Annotated[
        list[str] | None, typer.Option(help="Compare the pairs by it too, as macro_f1; repeatable. Intervals: bca.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Predictions of validation rows, or a duel's NAME/held_out.npz: fits a temperature, chooses "
            "thresholds; seen on the test."
        ),
    ] = None,
    risk: Annotated[
        list[float] | None,
        typer.Option(help="Answer only when sure: how many rows, with so many answers wrong? As 0.02; repeatable."),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="The threshold of each class for it, with the most recall.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(help="The threshold of each class for it, with the most precision.")
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="class,DECISION,... and a line of costs for each class: decide by cost."),
    ] = None,
    seed: Seed = 0,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
    as_json: Json = False,
) -> None:
    """The same numbers again from what was written: no model, no images.

    Of one file the metrics, the scores of each class and the calibration; of two or more their pairs: exact McNemar
    with Holm's correction (mid-p in --json), and Cochran's Q over three or more. In Python: help(toolkit.evaluation).
    """
    stored = {_name(path, predictions): read_predictions(path) for path in predictions}
    if len(stored) < len(predictions):
        raise InputError("Expected each predictions.npz once. Received one of them twice.")
    if metric and len(stored) == 1:
        raise InputError("Expected two predictions.npz or more with --metric, which compares them. Received: 1.")
    check_together(stored)
    before = _validation(validation, stored)
    wake_keras()
    from toolkit.cli import asked
    from toolkit.evaluation import cochran_q, compare_pairs
    from toolkit.evaluation import evaluate as judge
    from toolkit.pair_table import pair_table

    first = next(iter(stored.values()))
    for name in (by, cluster, None if stratify == "class" else stratify):
        for one in stored.values() if name is not None else ():
            asked.column(one, str(name))
    design = asked.design_of(first, cluster, stratify)
    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    told |= {"method": method, "design": design}
    results = {name: judge(one.labels, one.probabilities, one.class_names, **told) for name, one in stored.items()}
    by_name = {name: one.probabilities for name, one in stored.items()}
    pairs = compare_pairs(first.labels, by_name, **told)
    differences = asked.differences(first, by_name, metric or (), told) if pairs else []
    together = cochran_q(first.labels, by_name) if len(stored) > 2 and not (design and design.clustered) else None
    questions = asked.Asked(by, before, risk or (), precision, recall, costs, confidence, design)
    answers = {name: list(asked.answers(name, one, questions)) for name, one in stored.items()}
    if as_json:
        found: dict[str, Any] = {name: result.to_dict() for name, result in results.items()}
        whole = next(iter(found.values())) if len(found) == 1 else {"contestants": found}
        whole |= {"pairs": [pair.to_dict() for pair in pairs]} if pairs else {}
        whole |= {"cochran": {"q": together[0], "p": together[1]}} if together else {}
        whole |= {answer.key: answer.plain for answer in differences}
        for name, given in answers.items():
            for answer in given:
                whole.setdefault(answer.key, {})[name] = answer.plain
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    wanted = [answer.table for answer in differences]
    wanted += [answer.table for given in answers.values() for answer in given if len(stored) == 1 or answer.asked]
    tested = [pair_table(pairs, _ranked(results), together, bool(design and design.clustered))] if pairs else []
    _show(results, [*tested, *wanted])


def _name(path: Path, among: Sequence[Path]) -> str:
    """What tells a file from the others: the folder of a run's contestant, else the path."""
    folders = [other.parent.name for other in among]
    return path.parent.name if path.parent.name and folders.count(path.parent.name) == 1 else str(path)


def _validation(path: Path | None, stored: dict[str, Predictions]) -> Predictions | None:
    """Predictions to fit a temperature on: of the same classes, and of other rows than the test's."""
    if path is None:
        return None
    if len(stored) > 1:
        raise InputError(f"Expected one predictions.npz with --validation. Received: {len(stored)}.")
    before, (test,) = read_predictions(path), stored.values()
    if before.probabilities.shape[1:] != test.probabilities.shape[1:] or before.class_names != test.class_names:
        raise InputError(
            f"Expected predictions of the same classes in {path}. Received: {', '.join(before.class_names)}."
        )
    if set(before.names.tolist()) & set(test.names.tolist()) and not str(test.names[0]).isdecimal():
        raise InputError(f"Expected validation rows in {path}. Received: rows of the test set among them.")
    return before


def _ranked(results: dict[str, Any]) -> list[str]:
    """The names, the most accurate first."""
    return sorted(results, key=lambda name: (-results[name]["accuracy"].value, results[name]["log_loss"].value))


def _show(results: dict[str, Any], further: Sequence[Any]) -> None:
    """Tables of metrics, of classes, and of what was asked besides."""
    from toolkit.cli.asked import add, table

    console = terminal()
    many = max(1, (console.width - 20) // 22)  # contestants side by side
    names = list(results)
    first = results[names[0]]
    for start in range(0, len(names), many):
        shown = names[start : start + many]
        made = table(f"{first.rows:,} images, {first.confidence:.0%} intervals", "metric", *shown)
        for metric in first.metrics:
            add(made, metric.replace("_", " "), *(str(results[name][metric]) for name in shown))
        console.print(made)
    if len(names) == 1 and len(first.per_class) <= MOST_CLASSES:
        made = table(f"{names[0]}: class by class", "class", "rows", "precision", "recall", "F1")
        for one in first.per_class:
            add(made, one.name, f"{one.support:,}", str(one.precision), str(one.recall), str(one.f1))
        console.print(made)
    for one in further:
        console.print(one)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders that `compare` wrote, or one of `tune`.")],
    out: Annotated[Path | None, typer.Option(help="File to write. [report.html, .md or .tex in the first RUN]")] = None,
    format: Annotated[str, typer.Option(help="html, or md or tex: the tables alone.")] = "html",
    figures: Annotated[Path | None, typer.Option(help="Folder for every figure as SVG and PNG; of one RUN.")] = None,
) -> None:
    """One file to send: the verdict, tables, figures and images of one or more runs."""
    from toolkit.report import write_figures, write_report, write_search, write_tables
    from toolkit.report.export import figures_folder

    if format not in ("html", "md", "tex"):
        raise unknown("format", format, ("html", "md", "tex"))
    if figures is not None and len(runs) > 1:
        raise InputError(f"Expected one RUN with --figures. Received: {len(runs)}.")
    if len(runs) == 1 and (runs[0] / "search.json").is_file():
        if format != "html" or figures is not None:
            raise InputError(f"Expected --format html without --figures of a search. {runs[0]} is one.")
        print(f"Written to {write_search(runs[0], out)}")
        return
    if figures is not None:
        figures_folder(figures)  # refused before the report is written
    path = out or runs[0] / f"report.{format}"
    if format == "html":
        write_report(runs, path)
    else:
        write_tables(runs, path, format)
    print(f"Written to {path}")
    if figures is not None:
        print(f"Written to {figures}: {len(write_figures(runs[0], figures))} files")
