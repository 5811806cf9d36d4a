"""The leaderboard and the pairs as Markdown or LaTeX, for papers. It computes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.report.facts import cost_notes
from toolkit.report.figures.cost import PRICES
from toolkit.report.figures.intervals import points_between
from toolkit.report.judged import temperature_rows
from toolkit.report.reading import Interval, Run
from toolkit.report.repeats import repeats_cells
from toolkit.report.text import MISSING, fixed, p_value, points_needed
from toolkit.report.tuning import tuning_cells
from toolkit.report.verdict import verdict

METRICS = {  # those that the tables show, where the run has them
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "ece": "ECE",
}


@dataclass(frozen=True)
class Table:
    """Cells as plain text; the first column stands left, the others right."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def leaderboard(run: Run) -> Table:
    """Every contestant with its metrics and group, the most accurate first."""
    metrics = [name for name in METRICS if any(entrant.metric(name) for entrant in run.entrants)]
    rows = [
        [entrant.name, *(_with_ends(entrant.metric(name)) for name in metrics), run.letters.get(entrant.name, MISSING)]
        for entrant in run.entrants
    ]
    caption = (
        f"{run.title}: {run.test_rows:,} test images, {run.classes} classes. "
        f"In brackets {100 * run.confidence:.0f} % intervals; contestants that share a letter cannot be told apart."
    )
    return Table(caption, ["contestant", *(METRICS[name] for name in metrics), "group"], rows)


def costs_table(run: Run) -> Table:
    """Every contestant with what it costs, in the order of the leaderboard; no columns where nothing was measured."""
    prices = [price for price in PRICES if any(price.of(entrant) for entrant in run.entrants)]
    rows = [[entrant.name, *(price.written(price.of(entrant)) for price in prices)] for entrant in run.entrants]
    caption = f"{run.title}: costs. {cost_notes(run)}".strip()
    return Table(caption, ["contestant", *(price.head for price in prices)], rows)


def temperature_table(run: Run) -> Table:
    """What one temperature fitted on rows held back makes of ECE and log loss; no rows where no contestant has one."""
    head = ["contestant", "temperature", "ECE before", "after", "log loss before", "after"]
    rows = [[entrant.name, *(_joined(*cell) for cell in cells)] for entrant, cells in temperature_rows(run)]
    return Table(f"{run.title}: one temperature, fitted on images held back, before and after on the test.", head, rows)


def pairs_table(run: Run) -> Table:
    """Every two contestants, the more accurate of the two first: accuracy difference, p values, verdict."""
    places = {entrant.name: place for place, entrant in enumerate(run.entrants)}

    def names(pair: Mapping[str, Any]) -> list[str]:
        return sorted((str(pair.get(side, MISSING)) for side in "ab"), key=lambda name: places.get(name, len(places)))

    rows = []
    for pair in sorted(run.pairs, key=lambda pair: [places.get(name, len(places)) for name in names(pair)]):
        first, second = names(pair)
        rows.append(
            [
                f"{first} − {second}",
                _with_ends(points_between([pair], first, second), 1),
                p_value(pair.get("p")),
                p_value(pair.get("holm_p")),
                points_needed(pair.get("smallest_difference")),
                str(pair.get("verdict", MISSING)),
            ]
        )
    groups = run.data.get("clusters")
    test = "exact McNemar test" if groups in (None, 1) else f"McNemar test over the {groups} groups that rows share"
    caption = f"Paired differences of accuracy in percentage points; {test}, p by Holm over all pairs."
    together = run.comparison.get("cochran")
    if isinstance(together, Mapping):
        caption += f" All together: Cochran’s Q {fixed(together.get('q'), 1)}, p {p_value(together.get('p'))}."
    return Table(caption, ["pair", "difference", "p", "Holm p", "smallest that would show", "verdict"], rows)


def _joined(shown: str, small: str) -> str:
    """What is shown and the small addition in one cell; ends of an interval in brackets."""
    return f"{shown} [{small.replace('..', ', ')}]" if ".." in small else ", ".join(filter(None, (shown, small)))


def _with_ends(interval: Interval | None, decimals: int = 3) -> str:
    if interval is None:
        return MISSING
    if interval.low is None or interval.high is None:
        return fixed(interval.value, decimals)
    return f"{fixed(interval.value, decimals)} [{fixed(interval.low, decimals)}, {fixed(interval.high, decimals)}]"


def markdown(runs: Sequence[Run]) -> str:
    """Verdict, leaderboard and pairs of every run as GitHub's Markdown; names are escaped."""
    parts = []
    for run in runs:
        parts += [f"## {_markdown_text(run.title)}", _markdown_text(" ".join(verdict(run)))]
        parts += [_markdown_table(table) for table in _tables(run)]
    return "\n\n".join(parts) + "\n"


def latex(runs: Sequence[Run]) -> str:
    r"""The same tables for `booktabs`, one `table*` each; names are escaped."""
    return "\n\n".join(_latex_table(table) for run in runs for table in _tables(run)) + "\n"


def _tables(run: Run) -> list[Table]:
    costs, chosen, cooled = costs_table(run), tuning_cells(run), temperature_table(run)
    further = [Table(*cells) for cells in (*([chosen] if chosen else []), *repeats_cells(run))]
    pairs = [pairs_table(run)] if run.pairs else []
    told = [*([costs] if len(costs.head) > 1 else []), *([cooled] if cooled.rows else [])]
    return [leaderboard(run), *told, *pairs, *further]


def _markdown_table(table: Table) -> str:
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)]]
    body = [[_markdown_text(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*lines, *body]) + f"\n\n{_markdown_text(table.caption)}"


def _latex_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "    {}" + " & ".join(_latex_text(cell) for cell in cells) + r" \\"  # or [ would be an option of \\

    return "\n".join(
        [
            r"\begin{table*}",
            r"  \centering",
            rf"  \caption{{{_latex_text(table.caption)}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
            r"    \toprule",
            line(table.head),
            r"    \midrule",
            *(line(row) for row in table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table*}",
        ]
    )


def _escaper(table: dict[str, str]) -> Callable[[str], str]:
    codes = str.maketrans(table)
    return lambda text: " ".join(text.split()).translate(codes)


_markdown_text = _escaper({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|~$&"})
_latex_text = _escaper(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$", "–": "--", "…": r"\dots{}"}
)
