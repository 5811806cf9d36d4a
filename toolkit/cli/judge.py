"""The commands that judge what was written: evaluate, report. Neither needs a model or images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import Confidence, Json, Resamples, Seed, app, wake_keras
from toolkit.errors import InputError, unknown
from toolkit.runs import Predictions, check_together, read_predictions


@app.command()
def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(help="RUN/NAME/predictions.npz, or your own with labels and probabilities; two or more: pairs."),
    ],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Judge each value of a column of the manifest by itself.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Predictions of validation rows: fits a temperature, shows before and after.")
    ] = None,
    seed: Seed = 0,
    confidence: Confidence = 0.95,
    resamples: Resamples = 2000,
    as_json: Json = False,
) -> None:
    """The same numbers again from what was written: no model, no images."""
    stored = {_name(path, predictions): read_predictions(path) for path in predictions}
    if len(stored) < len(predictions):
        raise InputError("Expected each predictions.npz once. Received one of them twice.")
    check_together(stored)
    if by is not None:
        for one in stored.values():
            if by not in one.columns:
                raise unknown("column of the manifest", by, one.columns)
    before = _validation(validation, stored)
    wake_keras()
    from toolkit.evaluation import compare_pairs
    from toolkit.evaluation import evaluate as judge

    told: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    results = {name: judge(one.labels, one.probabilities, one.class_names, **told) for name, one in stored.items()}
    first = next(iter(stored.values()))
    pairs = compare_pairs(first.labels, {name: one.probabilities for name, one in stored.items()}, **told)
    groups = {name: _groups(one, by, confidence) for name, one in stored.items()} if by else {}
    scaled = {name: _scaled(one, before, confidence) for name, one in stored.items()} if before else {}
    if as_json:
        found: dict[str, Any] = {name: result.to_dict() for name, result in results.items()}
        further = {"pairs": [pair.to_dict() for pair in pairs], "groups": _plain(groups), "temperature": _plain(scaled)}
        whole = next(iter(found.values())) if len(found) == 1 else {"contestants": found}
        print(json.dumps({**whole, **{k: v for k, v in further.items() if v}}, indent=2, ensure_ascii=False))
        return
    _show(results, pairs, groups, scaled)


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


def _groups(one: Predictions, by: str | None, confidence: float) -> Any:
    from toolkit.evaluation import evaluate_groups

    return evaluate_groups(one.labels, one.probabilities, one.columns[str(by)], one.class_names, confidence=confidence)


def _scaled(one: Predictions, before: Predictions, confidence: float) -> Any:
    from toolkit.evaluation import temperature_scaling

    return temperature_scaling(one.labels, one.probabilities, before.labels, before.probabilities, confidence)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    import dataclasses

    return {
        name: value.to_dict() if hasattr(value, "to_dict") else dataclasses.asdict(value)
        for name, value in values.items()
    }


def _show(results: dict[str, Any], pairs: Sequence[Any], groups: dict[str, Any], scaled: dict[str, Any]) -> None:
    """Tables of metrics, of pairs, of groups and of what a temperature does."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name, result in results.items():
        table = Table("metric", "value", "low", "high", title=f"{name}: {result.rows:,} images")
        for metric, interval in result.metrics.items():
            table.add_row(metric, *(f"{number:.4f}" for number in (interval.value, interval.low, interval.high)))
        console.print(table)
    if pairs:
        table = Table("pair", "difference of accuracy", "p", "could show", "verdict")
        for pair in pairs:
            ends = f"{pair.difference:+.4f} ({pair.low:+.4f}..{pair.high:+.4f})"
            row = (f"{pair.a} - {pair.b}", ends, f"{pair.holm_p:.4f}", f"{pair.smallest_difference:.4f}", pair.verdict)
            table.add_row(*row)
        console.print(table)
    for name, found in groups.items():
        table = Table("group", "rows", "accuracy", "p", "against the rest", title=f"{name}, the worst group first")
        for group in found.groups:
            value = str(group.evaluation["accuracy"])
            table.add_row(group.name, f"{group.evaluation.rows:,}", value, f"{group.holm_p:.4f}", group.verdict)
        console.print(table)
    for name, one in scaled.items():
        table = Table(
            "", "before", "after", title=f"{name}: temperature {one.temperature:.3f}, fitted on validation rows"
        )
        rows = (
            ("ECE", one.ece_before.interval, one.ece_after.interval),
            ("log loss", one.log_loss_before, one.log_loss_after),
            ("Brier score", one.brier_before, one.brier_after),
        )
        for label, was, now in rows:
            table.add_row(label, str(was), str(now))
        console.print(table)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders that `touchstone compare` wrote.")],
    out: Annotated[Path | None, typer.Option(help="File to write. [report.html, .md or .tex in the first RUN]")] = None,
    format: Annotated[str, typer.Option(help="html, or md or tex: the tables alone.")] = "html",
    figures: Annotated[Path | None, typer.Option(help="Folder for every figure as SVG and PNG; of one RUN.")] = None,
) -> None:
    """One file to send: the verdict, tables, figures and images of one or more runs."""
    from toolkit.report import write_figures, write_report, write_tables

    if format not in ("html", "md", "tex"):
        raise unknown("format", format, ("html", "md", "tex"))
    if figures is not None and len(runs) > 1:
        raise InputError(f"Expected one RUN with --figures. Received: {len(runs)}.")
    path = out or runs[0] / f"report.{format}"
    if format == "html":
        write_report(runs, path)
    else:
        write_tables(runs, path, format)
    print(f"Written to {path}")
    if figures is not None:
        print(f"Written to {figures}: {len(write_figures(runs[0], figures))} files")
