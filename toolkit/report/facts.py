"""The small print of a run: the data in brief, how its costs were measured, and what it takes to run it again."""

import json
from collections.abc import Mapping
from typing import Any

from toolkit.memory import IMAGES
from toolkit.report.reading import Run
from toolkit.report.text import shortened, size

Lines = list[tuple[str, list[str]]]
MOST = 8  # lines of one kind


def audit(run: Run) -> Lines:
    """What is known of the data: its parts, what was left out, notes; label and lines."""
    rows = dict(run.data.get("rows") or {})
    parts = [f"{rows[part]:,} {part}" for part in ("train", "validation", "test") if rows.get(part)]
    found: Lines = [("rows", [", ".join(parts)])] if parts else []
    if len(run.labels):
        counts = sorted((int((run.labels == index).sum()), name) for index, name in enumerate(run.class_names))
        (fewest, rarest), (most, commonest) = counts[0], counts[-1]
        found.append(
            (
                "test rows a class",
                [f"{fewest:,} ({rarest}) to {most:,} ({commonest})" if fewest < most else f"{most:,} in each"],
            )
        )
    left_out = [f"{entry[0]}: {entry[1]}" for entry in run.data.get("left_out") or () if len(entry) == 2]
    passed_over = [f"{count:,} × {kind}" for kind, count in dict(run.data.get("passed_over") or {}).items()]
    groups = [("left out", left_out), ("passed over", passed_over), ("notes", list(run.data.get("notes") or ()))]
    found += [(label, _cut(lines)) for label, lines in groups if lines]
    return found + _findings(run.audit)


def _findings(audit: Mapping[str, Any]) -> Lines:
    """What an audit found, a label for each kind, errors first; what was looked at where it found nothing."""
    if not audit:
        return []
    by_kind: dict[str, list[str]] = {}
    for finding in audit.get("findings") or ():
        if finding.get("kind") == "note":  # the manifest has them too
            continue
        names = [str(name) for name in finding.get("names") or ()]
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        said = f"{', '.join(names[:3])}{more}: " if names else ""
        label = f"{finding.get('kind')} ({finding.get('severity')})"
        by_kind.setdefault(label, []).append(said + str(finding.get("detail", "")))
    if not by_kind:
        return [("audit", [f"{int(audit.get('images', 0)):,} images looked at, nothing found."])]
    return [(label, _cut(lines, 3)) for label, lines in by_kind.items()]


def again(run: Run) -> list[tuple[str, str]]:
    """Label and value of everything that has to be the same for the same numbers."""
    comparison = run.comparison
    device = dict(comparison.get("device") or {})
    versions = dict(comparison.get("versions") or {})
    accelerators = ", ".join(device.get("accelerators") or ()) or "none"
    facts = [
        ("command", comparison.get("command")),
        ("data", run.data.get("source")),
        ("data hash", run.data.get("sha256")),
        ("loaded with", _settings(run.data.get("settings"))),
        ("seed of the splits", run.data.get("seed")),
        ("seed of the intervals", comparison.get("seed")),
        (
            "intervals",
            f"{100 * run.confidence:.0f} %, {comparison['resamples']:,} resamples"
            if comparison.get("resamples")
            else None,
        ),
        ("backend", device.get("backend")),
        ("processor", f"{device['processor']}, {_cores(device)}" if device.get("processor") else None),
        ("memory", size(device["memory_bytes"]) if device.get("memory_bytes") else None),
        ("threads", ", ".join(f"{pool} {many}" for pool, many in dict(device.get("threads") or {}).items())),
        ("accelerators", accelerators if device else None),
        ("system", device.get("system")),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    return [(label, str(value)) for label, value in facts if value not in (None, "")]


def contestant_settings(run: Run) -> dict[str, str]:
    """What each contestant was told, as one line of JSON."""
    return {
        entrant.name: json.dumps(entrant.values.get("settings") or {}, ensure_ascii=False, default=str)
        for entrant in run.entrants
    }


def cost_notes(run: Run) -> str:
    """How the costs were measured, in a sentence; empty where the run does not say."""
    costs = [dict(entrant.values.get("cost") or {}) for entrant in run.entrants]
    costs = [cost for cost in costs if cost]
    if not costs:
        return ""
    threads = sorted({str(cost["threads"]) for cost in costs if "threads" in cost})
    said = ["Measured warm; medians of repeated calls"]
    said += [f"up to {' or '.join(threads)} {'thread' if threads == ['1'] else 'threads'}"] if threads else []
    batches = [
        f"{entrant.name} {cost['best_batch']}"
        for entrant in run.entrants
        if "best_batch" in (cost := dict(entrant.values.get("cost") or {}))
    ]
    memory = any(cost.get("peak_memory_bytes") for cost in costs)
    about = f" Peak memory: a fresh process reads the model and answers {IMAGES} images." if memory else ""
    return ", ".join(said) + "." + about + (f" Best batch: {', '.join(batches)}." if batches else "")


def _cores(device: Mapping[str, Any]) -> str:
    cores = device.get("cores", "?")
    return f"{cores} core{'' if cores == 1 else 's'}"


def _settings(settings: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in dict(settings or {}).items())


def _cut(lines: list[str], most: int = MOST) -> list[str]:
    shown = [shortened(line, 300) for line in lines[:most]]
    return shown + ([f"and {len(lines) - most:,} more"] if len(lines) > most else [])
