"""What `compare` adds to a finished duel for its report: explanations of some images, the data's audit in brief."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.progress import bar
from toolkit.runs import read_json

AUDITED = 3_000  # images up to which an audit is not felt: half a minute


def report(folder: Path, images: Any) -> Path:
    """Write the report of the run, with the test images (N, H, W, C) that it shows; where it lies."""
    from toolkit.report import keep_images, write_report

    keep_images(folder, images)
    page = folder / "report.html"
    write_report([folder], page)
    return page


def explain(folder: Path, result: Any, contestants: Mapping[str, Any], images: Any, many: int) -> list[str]:
    """Write explanations of `many` of the gallery's images beside each contestant; lines on those left out.

    A contestant that an earlier call finished is read back from the model beside its predictions.
    """
    from toolkit.explain.beside import FILE, keep_explanations
    from toolkit.report import rows_to_explain

    rows = rows_to_explain(folder, many)
    chosen, left_out = images[rows], []
    folders = {name: outcome.folder for name, outcome in result.outcomes.items()}
    with bar("Explanations", total=len(folders)) as advance:
        for name, place in folders.items():
            advance(0, note=name)
            path = folder / place
            if len(rows) and not _explained(path / FILE, rows):
                try:
                    keep_explanations(path, _fitted(contestants[name], path / "model"), chosen, rows)
                except ValueError as error:
                    left_out.append(f"no explanations of {name}: {error}")
            advance(1)
    return left_out


def _fitted(contestant: Any, model: Path) -> Any:
    """The contestant itself, if this call has fitted it, or else the one kept in the run."""
    if hasattr(contestant, "classes_"):
        return contestant
    load: Callable[[Path], Any] | None
    try:
        from toolkit.artifact import load_model as load
    except ImportError:
        load = None
    if load is None or not model.is_dir():
        raise InputError("it was fitted by an earlier call, and no model of it is kept.")
    return load(model)


def _explained(path: Path, rows: Any) -> bool:
    """Whether these rows are explained there already."""
    import numpy as np

    if not path.is_file():
        return False
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return "rows" in stored and np.array_equal(stored["rows"], rows)


def audit(data: str, images: int, folder: Path, wanted: bool | None) -> list[str]:
    """Write the audit of `data` to audit.json, unless it is there; lines on what it found, or why there is none.

    `wanted` None: where there are few enough images that nobody waits for it.
    """
    if wanted is False:
        return []
    if wanted is None and images > AUDITED:
        return [f"The data was not audited, as it holds {images:,} images: --audit, or `touchstone audit {data}`."]
    path = folder / "audit.json"
    if not path.is_file():
        from toolkit.data.audit import audit as look_at

        look_at(data).write(folder)
    found = [finding["severity"] for finding in read_json(path).get("findings", ())]
    serious = found.count("error") + found.count("warning")
    if not serious:
        return []
    findings = "1 finding" if serious == 1 else f"{serious:,} findings"
    return [f"Audit: {findings}, errors among them: {found.count('error'):,}; see the report."]
