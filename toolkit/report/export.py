"""Tables and figures as files of their own, for papers. It draws nothing new."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from toolkit.errors import InputError, unknown
from toolkit.report.colours import standalone
from toolkit.report.figures.calibration import reliability
from toolkit.report.figures.classes import class_scores
from toolkit.report.figures.confusion import confusion_figure
from toolkit.report.figures.cost import cost_against_accuracy, known_prices
from toolkit.report.figures.intervals import differences, forest
from toolkit.report.figures.learning import learning_curve
from toolkit.report.figures.selective import risk_by_coverage
from toolkit.report.reading import Run, read_runs
from toolkit.report.tables import latex, markdown
from toolkit.runs import write_text

FORMATS = {"md": markdown, "tex": latex}


def write_tables(folders: Sequence[str | Path], path: str | Path, format: str) -> Path:
    """Write leaderboard and pairs of runs as Markdown (`md`, with the verdict) or LaTeX (`tex`, for booktabs)."""
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"Expected a file to write in a folder that is there. Received: {path}.")
    write_text(path, FORMATS[format](read_runs(folders)))
    return path


def write_figures(run_folder: str | Path, folder: str | Path, *, png: bool = True) -> list[Path]:
    """Write every figure of a run as .svg and, with the extra `figures` installed, as .png of twice the size.

    Raises:
        InputError: for no finished run, or where `png` is asked for and resvg_py is not installed.
    """
    (run,) = read_runs([run_folder])
    if png:
        rasterise(standalone('<svg viewBox="0 0 1 1" width="1" height="1"></svg>'))  # refuse before anything is written
    folder = figures_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in _figures(run):
        text = standalone(str(figure))
        written.append(folder / f"{name}.svg")
        write_text(written[-1], text)
        if png:
            written.append(folder / f"{name}.png")
            written[-1].write_bytes(rasterise(text))
    return written


def figures_folder(folder: str | Path) -> Path:
    """The folder, which is there or can be made; refused where a file has that name."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"Expected a folder for the figures. Received the file {folder}.")
    return Path(folder)


def _figures(run: Run) -> Iterator[tuple[str, Markup]]:
    drawn: list[tuple[str, Markup | None]] = [("forest", forest(run, 720.0)), ("differences", differences(run, 720.0))]
    drawn += [(f"cost_{price.key}", cost_against_accuracy(run, price, 720.0)) for price in known_prices(run)]
    drawn += [("classes", class_scores(run, 720.0)), ("risk_coverage", risk_by_coverage(run, 720.0))]
    for entrant in run.entrants:
        place = str(entrant.values.get("folder", f"contestant{entrant.colour}")).replace("/", "_")
        drawn.append((f"confusion_{place}", confusion_figure(run, entrant, 620.0)))
        drawn.append((f"reliability_{place}", reliability(entrant, 320.0)))
        drawn += [(f"{metric}_{place}", learning_curve(entrant, metric, 420.0)) for metric in ("loss", "accuracy")]
    return ((name, figure) for name, figure in drawn if figure is not None)


def rasterise(svg: str) -> bytes:
    """SVG as PNG of twice the size; an InputError where resvg_py is not installed."""
    try:
        import resvg_py
    except ImportError:
        raise InputError(
            "Expected resvg_py for PNG figures. It is not installed: pip install 'touchstone-vision[figures]'."
        ) from None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=2, background="#ffffff"))
