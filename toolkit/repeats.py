"""The duel again with other seeds and splits: how far the scores spread, and how likely one wins a run to come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation import RecipePair, compare_recipes
from toolkit.evaluation.evidence import BOUNDS, LOWER_IS_BETTER
from toolkit.evaluation.paired import CANNOT_TELL
from toolkit.evaluation.rounding import rounded_up
from toolkit.leaderboard import Comparison
from toolkit.runs import write_json

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Repeats:
    """Scores of every contestant over J runs, and its pairs."""

    metric: str
    seeds: tuple[int, ...]  # J
    scores: dict[str, tuple[float, ...]]  # (J,) each, on the test rows
    pairs: tuple[RecipePair, ...]
    tuned_on: int | None = None  # the seed of the split on whose validation rows settings were chosen for all runs

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, what seeds.json holds."""
        return {
            "metric": self.metric,
            "seeds": list(self.seeds),
            "scores": {name: list(values) for name, values in self.scores.items()},
            "summary": self.summary(),
            "pairs": [pair.to_dict() for pair in self.pairs],
            **({} if self.tuned_on is None else {"tuned_on": self.tuned_on}),
        }

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, standard deviation, lowest and highest score of each contestant, the best mean first."""
        ranked = sorted(self.scores.items(), key=lambda item: -float(np.mean(item[1])))
        return {
            name: {
                "mean": float(np.mean(values)),
                "standard_deviation": float(np.std(values, ddof=1)),
                "lowest": min(values),
                "highest": max(values),
            }
            for name, values in ranked
        }

    def table(self) -> "Table":
        """Mean, spread and range of each contestant, the best first."""
        from rich import box
        from rich.table import Table

        table = Table(title=f"{self.metric} over {len(self.seeds)} seeds and splits", box=box.SIMPLE_HEAD)
        table.add_column("contestant")
        for column in ("mean", "standard deviation", "lowest", "highest"):
            table.add_column(column, justify="right")
        for name, numbers in self.summary().items():
            table.add_row(name, *(f"{number:.4f}" for number in numbers.values()))
        return table

    def verdicts(self) -> list[str]:
        """A sentence for each pair: who wins how often, and whether they can be told apart."""
        return [
            f"{pair.a} beats {pair.b} in a run to come with probability {pair.improvement:.2f} "
            f"(difference {pair.difference:+.4f}, {pair.low:+.4f} to {pair.high:+.4f}, would show from "
            f"{rounded_up(pair.smallest_difference, 4):.4f} on): {pair.verdict}."
            for pair in self.pairs
        ]

    def conclusion(self) -> str:
        """In words: which contestants these runs tell apart, which they cannot, and which are practically equal."""
        ends = {"practically equal": "are practically equal", CANNOT_TELL: "cannot be told apart"}
        groups: dict[str, list[str]] = {"": [], **{verdict: [] for verdict in ends}}
        for pair in self.pairs:
            if pair.verdict in ends:
                groups[pair.verdict].append(f"{pair.a} and {pair.b}")
            else:
                better, worse = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
                groups[""].append(f"{better} is better than {worse}")
        said = [", ".join(groups[""])] if groups[""] else []
        said += [f"{', '.join(pairs)} {ends[verdict]}" for verdict, pairs in groups.items() if verdict and pairs]
        return f"Over {len(self.seeds)} seeds and splits by {self.metric}: {'; '.join(said)}."


def repeat(
    run: Callable[[int], Comparison],
    seeds: Sequence[int],
    *,
    metric: str = "accuracy",
    out: str | Path | None = None,
    tuned_on: int | None = None,
) -> Repeats:
    """Call `run(seed)`, a whole duel on a split of its own, for each seed, and compare the contestants over all runs.

    Where settings were tuned, they were so once, on the validation rows of the split of seed `tuned_on`: rows that
    another split puts into its test may have helped to choose them, alike for all contestants.
    """
    if metric in LOWER_IS_BETTER:
        raise InputError(f"Expected a metric of which higher is better, such as accuracy. Received: {metric}.")
    if len(seeds) < 2:
        raise InputError(f"Expected two or more seeds. Received: {len(seeds)}.")
    results = [run(seed) for seed in seeds]
    names = list(results[0].outcomes)
    scores = {name: tuple(float(one.outcomes[name].evaluation[metric].value) for one in results) for name in names}
    rows = results[0].data["rows"]
    told = {"test_rows": rows["test"], "train_rows": rows["fit"], "shares": metric not in BOUNDS}
    pairs = compare_recipes(scores, **told) if len(names) > 1 else ()
    repeats = Repeats(metric, tuple(seeds), scores, pairs, tuned_on)
    if out is not None:
        write_json(Path(out) / "seeds.json", repeats.to_dict())
    return repeats
