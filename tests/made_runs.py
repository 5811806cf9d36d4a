"""Runs made of random numbers, written as `compare` writes them: nothing is loaded, fitted or evaluated.

The intervals are rough ones: the report draws what it finds. That it finds what `compare` writes is tested with the
command line.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from toolkit import runs

NAMES = ("deit_tiny", "mobilenet_v2", "cnn", "hog_svm", "hog_lbp_svm", "lbp_svm")
DEEP = {"deit_tiny", "mobilenet_v2", "cnn"}
EPOCHS = 12
DIAGNOSIS = {
    "kind": "over-fitting",
    "words": "The gap grew from epoch 6 on.",
    "advice": ["Augment `a < b`.", "Stop sooner."],
}
SITES = ("north", "south", "<i>east</i>")


@dataclass(frozen=True)
class Made:
    """What a made run was made of."""

    folder: object
    labels: np.ndarray
    images: np.ndarray  # uint8 (N, side, side, 3)
    class_names: tuple[str, ...]


def make_run(folder, *, names=NAMES, classes=5, rows=200, side=32, class_names=None, skill=5.2, seed=0, resamples=200):
    """Write a finished run: the first contestants are the better ones, and neighbouring classes are mixed up."""
    generator = np.random.default_rng(seed)
    class_names = tuple(class_names or (f"class {index:02d}" for index in range(classes)))
    classes = len(class_names)
    labels = np.arange(rows) % classes
    hardness = generator.normal(0, 1.4, rows)  # of each image, for all alike
    neighbours = generator.permutation(classes)
    files = np.array([f"{class_names[label]}/{row:05d}.jpg" for row, label in enumerate(labels)])
    data = {
        "source": "somewhere/made flowers",
        "seed": seed,
        "sizes": {"train": 3 * rows, "validation": rows // 2, "test": rows},
        "rows": {"train": 3 * rows, "validation": rows // 2, "test": rows, "fit": 3 * rows + rows // 2},
        "sha256": "0123456789abcdef" * 4,
        "settings": {"image_size": side},
        "left_out": [["class 00/broken.jpg", "truncated"]],
        "passed_over": {".txt": 2},
        "notes": ["2 images occur twice."],
        "class_names": list(class_names),
    }
    answers, entries = {}, {}
    for place, name in enumerate(names):
        scores = generator.normal(0, 1, (rows, classes)).astype(np.float32)
        scores[np.arange(rows), labels] += skill - 0.55 * place - hardness
        scores[np.arange(rows), neighbours[labels]] += 1.2
        scores = np.exp(1.3 * (scores - scores.max(axis=1, keepdims=True)))
        answers[name] = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    pairs = _pairs(labels, answers)
    folders = runs.folder_names(names)
    folder.mkdir(parents=True)
    runs.write_json(folder / "run.json", {"schema": 1})
    for place, name in enumerate(names):
        evaluation = _evaluation(labels, answers[name], class_names)
        deep = name in DEEP
        costs = _costs(place, deep)
        predictions = runs.Predictions(labels, answers[name], files, class_names, data["sha256"])
        runs.write_contestant(folder, folders[name], predictions, costs)
        entries[name] = {
            **evaluation["metrics"],
            **costs,
            "name": name,
            "folder": folders[name],
            "per_class": evaluation["per_class"],
            "confusion": evaluation["confusion"],
            **_details(labels, answers[name], place, held_out=name == "cnn"),
            "settings": {"type": "KerasClassifier" if deep else "Pipeline", "seed": 0},
            "made_of": {"network": deep, "calibrated": not deep, "members": []},
            **({"history": _history(generator), "best_epoch": 9, "diagnosis": DIAGNOSIS} if deep else {}),
        }
    runs.write_json(
        folder / "comparison.json",
        {
            "schema": 1,
            "data": data,
            "seed": seed,
            "confidence": 0.95,
            "resamples": resamples,
            "contestants": entries,
            "pairs": pairs,
            "groups": {name: "abcdefgh"[place] for place, name in enumerate(names)},
            "versions": {"python": "3.11.9", "keras": "3.15.1"},
            "device": {
                "backend": "tensorflow",
                "accelerators": [],
                "processor": "a processor",
                "cores": 2,
                "memory_bytes": 8_000_000_000,
                "threads": {"libopenblas": 2},
                "system": "Linux",
            },
            "command": f"touchstone compare 'made flowers' {' '.join(names)}",
        },
    )
    return Made(folder, labels, make_images(labels, classes, side, generator), class_names)


def make_images(labels, classes, side, generator):
    """A coloured blob on a gradient for each image: something to look at, and to compress."""
    y, x = np.mgrid[:side, :side] / side
    hues = 2 * np.pi * labels[:, None, None] / classes
    centre = generator.uniform(0.35, 0.65, (2, len(labels), 1, 1))
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.03)
    channels = [120 + 100 * blob * np.cos(hues + shift) + 60 * (x - 0.5) for shift in (0, 2.1, 4.2)]
    noise = generator.normal(0, 6, (*labels.shape, side, side))
    return np.clip(np.stack([channel + noise for channel in channels], axis=-1), 0, 255).astype(np.uint8)


def _evaluation(labels, probabilities, class_names):
    """Metrics, scores of classes and the confusion matrix, in the form of comparison.json."""
    predicted, classes = probabilities.argmax(axis=1), len(class_names)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits, support, said = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * hits / np.maximum(support + said, 1)
    true = probabilities[np.arange(len(labels)), labels]
    gap = abs(float(probabilities.max(axis=1).mean() - (predicted == labels).mean()))
    metrics = {
        "accuracy": hits.sum() / len(labels),
        "macro_f1": f1.mean(),
        "log_loss": -np.log(true).mean(),
        "ece": gap,
    }
    return {
        "metrics": {name: _interval(value, len(labels)) for name, value in metrics.items()},
        "per_class": [
            {"name": name, "support": int(support[index]), "f1": _interval(f1[index], max(1, support[index]))}
            for index, name in enumerate(class_names)
        ],
        "confusion": confusion.tolist(),
    }


def _details(labels, probabilities, place, held_out):
    """Calibration, risk by coverage and groups, in the form of comparison.json."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = []
    for low in np.arange(10) / 10:
        inside = (sure > low) & (sure <= low + 0.1)
        if inside.any():
            accuracy = _interval(right[inside].mean(), inside.sum())
            mean = float(sure[inside].mean())
            entry = {"low": float(low), "high": float(low + 0.1), "rows": int(inside.sum()), "confidence": mean}
            bins.append({**entry, "accuracy": accuracy})
    error = {"value": 0.051, "low": 0.02, "high": 0.07, "bias": 0.013, "if_calibrated": 0.018}
    brier = {"brier": 0.31, "reliability": 0.01, "resolution": 0.5, "uncertainty": 0.8, "within": 0.0}
    answered = np.arange(1, len(labels) + 1)
    risk = np.cumsum(~right[np.argsort(-sure)]) / answered
    at_risk = [{"risk": 0.01, "coverage": 0.0, "threshold": None}, {"risk": 0.1, "coverage": 0.6, "threshold": 0.7}]
    ends = {"value": 0.6, "low": 0.5, "high": 0.7}
    scaled = {f"{name}_{when}": ends for name in ("ece", "log_loss", "brier") for when in ("before", "after")}
    temperature = {"temperature": 1.37, "rows": 213, **scaled}
    sites = [
        {
            "name": site,
            "rows": len(labels) // len(SITES),
            "accuracy": _interval(0.5 + 0.1 * index, len(labels) // len(SITES)),
            "holm_p": 0.01,
            "verdict": "worse than the rest" if index == 0 and place == 1 else "cannot tell",
        }
        for index, site in enumerate(SITES)
    ]
    return {
        "calibration": {
            "bins": bins,
            "errors": {"ece": error, "ece_equal_mass": error, "classwise_ece": error},
            "brier": brier,
            **({"temperature": temperature} if held_out else {}),
        },
        "selective": {
            "coverage": (answered / len(labels)).tolist(),
            "risk": risk.tolist(),
            "area": float(risk.mean()),
            "at_risk": at_risk,
        },
        "by_group": {"site": sites},
    }


def explain_run(folder, rows, side=24):
    """Write heat for every contestant of a made run, and a picture of its own for the first, as `compare` does."""
    heat = np.zeros((len(rows), side, side), np.uint8)
    heat[:, side // 3 : side // 2, side // 3 : side // 2] = 255
    for index, place in enumerate(sorted(path.parent for path in folder.glob("*/contestant.json"))):
        own = {"hog_glyphs": np.repeat(heat[..., None], 3, axis=-1)} if index == 0 else {}
        np.savez(place / "explanations.npz", rows=np.array(rows), occlusion=heat, **own)


def _interval(value, rows):
    half = 1.96 * float(np.sqrt(max(value * (1 - value), 0.01) / rows))
    return {"value": float(value), "low": max(0.0, float(value) - half), "high": float(value) + half}


def _pairs(labels, answers):
    """Every two contestants in the form of comparison.json, with a normal approximation in place of the exact test."""
    right = {name: values.argmax(axis=1) == labels for name, values in answers.items()}
    pairs = []
    for a, b in combinations(answers, 2):
        difference = right[a].astype(float) - right[b]
        half = 1.96 * float(difference.std() / np.sqrt(len(labels)))
        value = float(difference.mean())
        proven = abs(value) > half
        pairs.append(
            {
                "a": a,
                "b": b,
                "difference": value,
                "low": value - half,
                "high": value + half,
                "p": 0.0004 if proven else 0.31,
                "holm_p": 0.004 if proven else 1.0,
                "smallest_difference": half,
                "verdict": f"{a if value > 0 else b} is better" if proven else "cannot tell",
            }
        )
    return pairs


def _costs(place, deep):
    each = (0.02, 0.0061, 0.0009, 0.0004, 0.0007, 0.0002)[place % 6]
    return {
        "fit_seconds": (840.0, 310.0, 95.0, 6.2, 14.0, 2.1)[place % 6],
        "predict_seconds_per_image": each,
        "size_bytes": (22_400_000, 14_200_000, 1_200_000, 31_000_000, 52_000_000, 900_000)[place % 6],
        "cost": {
            "batch_seconds_per_image": each,
            "best_batch": 64 if deep else 256,
            "one_image_p50_seconds": 4 * each + 0.002,
            "one_image_p95_seconds": 6 * each + 0.003,
            "repeats": 50,
            "threads": 2,
            "parameters": (5_500_000, 2_260_000, 290_000, 3_900_000, 6_500_000, 110_000)[place % 6],
            "peak_memory_bytes": 180_000_000 if deep else 60_000_000,
        },
    }


def _history(generator):
    epochs = np.arange(EPOCHS)
    loss = 1.6 * np.exp(-epochs / 3) + 0.1 + generator.normal(0, 0.01, EPOCHS)
    return {
        "loss": loss.tolist(),
        "accuracy": (1 - loss / 2.2).tolist(),
        "holdout_loss": (loss + 0.15 + 0.004 * epochs**1.5).tolist(),
        "holdout_accuracy": (1 - (loss + 0.2) / 2.2).tolist(),
    }
