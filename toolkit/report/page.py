"""One run as the template wants it: rows, figures, pictures and the data behind the clicks. It computes no metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from toolkit.report.figures.calibration import reliability
from toolkit.report.figures.classes import class_rows, class_scores
from toolkit.report.figures.confusion import confusion_figure, confusion_of, worst_mistakes
from toolkit.report.figures.cost import PRICES, PRICES_BY_KEY, cost_against_accuracy, front, known_prices
from toolkit.report.figures.intervals import differences, forest
from toolkit.report.figures.learning import history_of, learning_curve
from toolkit.report.figures.selective import risk_by_coverage
from toolkit.report.gallery import by_interest, chapters
from toolkit.report.heat import Explanation, drawn, read_explanations
from toolkit.report.judged import calibration_rows, group_tables, selective_rows, temperature_rows
from toolkit.report.pictures import within
from toolkit.report.reading import Entrant, Run
from toolkit.report.tables import METRICS
from toolkit.report.text import MISSING, fixed, percent
from toolkit.report.thumbnails import PIXELS, PREFIX, image_size, inline
from toolkit.report.verdict import verdict

WIDE, NARROW, HALF, SQUARE = 1000.0, 346.0, 480.0, 620.0  # pixels that a figure has on a screen and on a phone
METHODS = {
    "occlusion": "occlusion",
    "rise": "RISE",
    "grad_cam": "Grad-CAM",
    "attention_rollout": "attention",
    "hog_glyphs": "HOG",
    "lbp_codes": "LBP",
}
MOST_ROWS = 12_000  # rows of the test set that a click can find


@dataclass(frozen=True)
class Cell:
    """A cell of a table that can be sorted: what is shown, a small addition, what is sorted by."""

    text: str
    small: str = ""
    order: float | str = ""


def run_page(run: Run, number: int, rows: int) -> dict[str, Any]:
    """All that the template shows of a run, its pictures still to come; rows: that a click can find."""
    return {
        "id": f"run{number}",
        "run": run,
        "title": run.title,
        "verdict": verdict(run),
        "facts": _facts(run),
        "leaderboard": _leaderboard(run),
        "forest": both(lambda width: forest(run, width)),
        "differences": both(lambda width: differences(run, width)),
        "prices": [
            (
                price,
                [entrant.name for entrant in front(run, price)],
                both(lambda width, p=price: cost_against_accuracy(run, p, width)),
            )
            for price in known_prices(run)
        ],
        "confusions": _confusions(run),
        "reliability": [(entrant, figure) for entrant in run.entrants if (figure := reliability(entrant, 290.0))],
        "calibration": calibration_rows(run),
        "temperature": temperature_rows(run),
        "risk": both(lambda width: risk_by_coverage(run, width)),
        "selective": selective_rows(run),
        "by_group": group_tables(run),
        "classes": both(lambda width: class_scores(run, width)),
        "class_table": _class_table(run),
        "learning": _learning(run),
        **illustrations(run, {}, rows, 0),
    }


def illustrations(run: Run, pictures: Mapping[int, bytes], rows: int, budget: int) -> dict[str, Any]:
    """What of the page depends on pictures: about `budget` bytes of WebP, the gallery's first, then the clicks'."""
    gallery = _gallery(run, pictures, budget // 4)
    inlined = [text for one in gallery for card in one["cards"] for text in _inlined(card)]
    clicked = within(pictures, budget - 3 * sum(map(len, inlined)) // 4)  # of base64
    return {
        "gallery": gallery,
        "explained": any(card["heats"] for one in gallery for card in one["cards"]),
        "pictures": len(pictures),
        "data": click_data(run, clicked, rows),
    }


def both(draw: Callable[..., Markup | None]) -> Markup | None:
    """A figure drawn twice, for wide and for narrow screens; the style sheet shows the one that fits."""
    wide, narrow = draw(WIDE), draw(NARROW)
    if wide is None or narrow is None:
        return None
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)


def _facts(run: Run) -> list[tuple[str, str]]:
    rows = dict(run.data.get("rows") or {})
    facts = [(f"{run.test_rows:,}", "test images")]
    if rows.get("fit"):
        facts.append((f"{rows['fit']:,}", "images to learn from"))
    return [*facts, (f"{run.classes}", "classes"), (f"{len(run.entrants)}", "contestants")]


def _leaderboard(run: Run) -> dict[str, Any]:
    """Heads (label, sorted first downward or upward, hint) and rows of cells; columns that nobody has are left out."""
    metrics = [name for name in METRICS if any(entrant.metric(name) for entrant in run.entrants)]
    lower = {"log_loss", "ece"}
    prices = [p for p in PRICES if p.key != "one_p95" and any(p.of(entrant) for entrant in run.entrants)]
    heads = [("contestant", "ascending")]
    heads += [(METRICS[name], "ascending" if name in lower else "descending") for name in metrics]
    heads += [("group", "ascending"), *((price.head, "ascending") for price in prices)]
    rows = []
    for entrant in run.entrants:
        cells = []
        for name in metrics:
            interval = entrant.metric(name)
            ends = f"{fixed(interval.low)}..{fixed(interval.high)}" if interval and interval.low is not None else ""
            cells.append(Cell(fixed(interval.value if interval else None), ends, interval.value if interval else ""))
        letters = run.letters.get(entrant.name, MISSING)
        cells.append(Cell(letters, order=letters))
        for price in prices:
            cost = price.of(entrant)
            tail = _tail(entrant, price.key)
            small = f"p95 {price.written(tail)}" if tail else ""
            cells.append(Cell(price.written(cost), small, MISSING if cost is None else cost))
        rows.append((entrant, cells))
    return {"heads": heads, "rows": rows}


def _tail(entrant: Entrant, key: str) -> float | None:
    """The 95th percentile of a latency, seconds an image; None for other costs."""
    if key == "one":
        return PRICES_BY_KEY["one_p95"].of(entrant)
    whole, images = (entrant.number("cost", name) for name in ("batch_p95_seconds", "best_batch"))
    return whole / images if key == "batch" and whole and images else None


def _confusions(run: Run) -> list[dict[str, Any]]:
    found = []
    for index, entrant in enumerate(run.entrants):
        matrix = confusion_of(entrant)
        if matrix is None:
            continue
        figure = both(lambda width, e=entrant: confusion_figure(run, e, min(width, SQUARE)))
        found.append({"index": index, "entrant": entrant, "figure": figure, "mistakes": worst_mistakes(matrix)})
    return found


def _class_table(run: Run) -> list[tuple[Any, ...]]:
    rows = []
    for row in class_rows(run):
        best = max(row.known, default=None)
        cells = [Cell(fixed(s.value), order=s.value) if s else Cell(MISSING) for s in row.scores]
        tops = [bool(score and best is not None and score.value == best) for score in row.scores]
        rows.append((row.name, row.support, list(zip(cells, tops, strict=True)), row.spread))
    return rows


def _learning(run: Run) -> list[dict[str, Any]]:
    found = []
    for entrant in run.entrants:
        if history_of(entrant):
            figures = [
                figure
                for metric in ("loss", "accuracy")
                if (figure := both(lambda width, e=entrant, m=metric: learning_curve(e, m, min(width, HALF))))
            ]
            found.append({"entrant": entrant, "figures": figures, "diagnosis": _diagnosis(entrant)})
    return found


def _diagnosis(entrant: Entrant) -> dict[str, Any]:
    """What the training's course says (`kind` and `words`), and what to change (`advice`); empty where nothing is."""
    says = entrant.values.get("diagnosis") or entrant.details.get("diagnosis") or {}
    says = says if isinstance(says, Mapping) else {"words": says}
    advice = says.get("advice") or ()
    lines = [advice] if isinstance(advice, str) else list(advice)
    kind, words = (str(says.get(key) or "") for key in ("kind", "words"))
    if not kind and not words:
        return {}
    told = [_coded(text[:1].upper() + text[1:]) for text in (words, *map(str, lines))]
    return {"kind": kind[:1].upper() + kind[1:], "words": told[0], "advice": told[1:]}


def _coded(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _gallery(run: Run, pictures: Mapping[int, bytes], budget: int) -> list[dict[str, Any]]:
    """Chapters with their cards, explained until that takes `budget` bytes."""
    explained = read_explanations(run) if pictures else {}
    found = []
    for chapter in chapters(run):
        cards = []
        for row in sorted(chapter.rows, key=lambda row: row not in explained):  # those with explanations first
            card = _card(run, row, pictures.get(row), explained.get(row, []) if budget > 0 else [])
            budget -= 3 * sum(map(len, _inlined(card))) // 4
            cards.append(card if budget >= 0 else card | {"heats": []})
        found.append({"chapter": chapter, "cards": cards})
    return found


def _inlined(card: Mapping[str, Any]) -> list[str]:
    """The pictures of a card as text."""
    return [card["picture"], *(picture for _, drawn in card["heats"] for _, picture in drawn)]


def _card(run: Run, row: int, webp: bytes | None, explained: list[Explanation]) -> dict[str, Any]:
    answers = []
    for entrant in run.answered:
        predicted = int(entrant.predicted[row])  # type: ignore[index]
        right = predicted == int(run.labels[row])
        answers.append((entrant, run.class_names[predicted], percent(float(entrant.confidence[row]), 0), right))  # type: ignore[index]
    heats = []
    for entrant in run.entrants if webp else ():
        own = [one for one in explained if one.entrant == entrant.name]
        if webp and own:
            heats.append((entrant, [(_method(one.method), PREFIX + inline(drawn(webp, one))) for one in own]))
    return {
        "row": row,
        "name": str(run.names[row]),
        "true": run.class_names[int(run.labels[row])],
        "answers": answers,
        "kind": "pixels" if webp and max(image_size(webp)) <= PIXELS else "",
        "picture": PREFIX + inline(webp) if webp else "",
        "heats": heats,
    }


def _method(name: str) -> str:
    return METHODS.get(name, name.replace("_", " "))


def click_data(run: Run, pictures: Mapping[int, bytes], most: int) -> dict[str, Any]:
    """What a click on a cell needs: the rows worth finding, their answers and pictures; the counts are of all rows."""
    rows = list(dict.fromkeys([*pictures, *by_interest(run).tolist()]))[: max(most, len(pictures))]
    counts = {}
    for index, entrant in enumerate(run.entrants):
        matrix = confusion_of(entrant)
        if matrix is not None:
            flat = matrix.ravel()
            counts[index] = [number for cell in flat.nonzero()[0].tolist() for number in (cell, int(flat[cell]))]
    return {
        "classes": list(run.class_names),
        "names": [str(run.names[row]) for row in rows],
        "labels": [int(run.labels[row]) for row in rows],
        "answers": {
            index: {
                "predicted": entrant.predicted[rows].tolist(),
                "percent": (100 * entrant.confidence[rows]).round().astype(int).tolist(),  # type: ignore[index]
            }
            for index, entrant in enumerate(run.entrants)
            if entrant.predicted is not None
        },
        "counts": counts,
        "pictures": [inline(pictures[row]) if row in pictures else "" for row in rows],
    }
