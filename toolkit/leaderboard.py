"""What a duel found: each contestant's outcome, the pairs, the table and the verdict in words. It fits nothing."""

import dataclasses
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.budget import budget_words
from toolkit.environment import device, versions
from toolkit.evaluation import Evaluation, Pair
from toolkit.pair_table import pair_table, span

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1  # of comparison.json; grows when a reader would have to change


@dataclass(frozen=True)
class Outcome:
    """What one contestant reached on the test rows, and what it cost."""

    name: str
    folder: str  # its folder inside the run
    evaluation: Evaluation
    fit_seconds: float  # wall time of fit, compilation and calibration included
    predict_seconds_per_image: float  # of one call for all test rows, its compilation included, divided by them
    size_bytes: int | None  # pickled; None for a contestant that cannot be
    settings: dict[str, Any]
    cost: dict[str, Any] = dataclasses.field(default_factory=dict)  # `toolkit.cost.Cost` and `toolkit.memory.peaks`
    history: dict[str, list[float | None]] = dataclasses.field(default_factory=dict)  # a value an epoch, of networks
    best_epoch: int | None = None  # counted from 0, whose weights were kept
    made_of: dict[str, Any] = dataclasses.field(default_factory=dict)  # network, calibrated: whether; members: names
    unsaved: str = ""  # why there is no NAME/model
    diagnosis: dict[str, Any] = dataclasses.field(default_factory=dict)  # kind, words, advice: what its curves say
    details: dict[str, Any] = dataclasses.field(default_factory=dict)  # `toolkit.evaluation.details`

    @property
    def seconds_per_image(self) -> float:
        """Of a warm batch, which the report's verdict rests on too; of the one call for all test rows without it."""
        return float(self.cost.get("batch_seconds_per_image", self.predict_seconds_per_image))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: every metric at the top, then costs, classes, confusion, details and settings."""
        evaluation = self.evaluation.to_dict()
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        further = {**own.pop("details"), **{key: evaluation[key] for key in ("per_class", "confusion")}}
        own.pop("evaluation")
        return {**evaluation["metrics"], **own, **further}


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`: print it, or read `outcomes` and `pairs`."""

    outcomes: dict[str, Outcome]  # in the order given
    pairs: tuple[Pair, ...]  # every two contestants, p-values corrected for all of them (Holm)
    letters: dict[str, str]  # contestants that share a letter cannot be told apart
    data: dict[str, Any]  # the manifest: source, rows of each split, class names, sha256
    seed: int
    confidence: float
    resamples: int
    command: str = ""  # that made it, where it was one
    tuning: dict[str, Any] = dataclasses.field(default_factory=dict)  # budget, and what each spent; empty: defaults
    cochran: tuple[float, float] | None = None  # Q and p over three or more, rows drawn alone

    def ranked(self) -> list[Outcome]:
        """Outcomes, the most accurate first; ties by log loss."""
        return sorted(
            self.outcomes.values(),
            key=lambda outcome: (-outcome.evaluation["accuracy"].value, outcome.evaluation["log_loss"].value),
        )

    def to_dict(self) -> dict[str, Any]:
        """What comparison.json holds."""
        return {
            "schema": SCHEMA,
            "data": self.data,
            "seed": self.seed,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "command": self.command,
            "tuning": self.tuning,
            "contestants": {name: outcome.to_dict() for name, outcome in self.outcomes.items()},
            "pairs": [pair.to_dict() for pair in self.pairs],
            "cochran": None if self.cochran is None else {"q": self.cochran[0], "p": self.cochran[1]},
            "groups": self.letters,
            "versions": versions(),
            "device": device(),
        }

    def table(self) -> "Table":
        """The leaderboard as a rich table."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        rows, source = self.data["rows"], escape(str(self.data["source"]))
        table = Table(
            title=f"{source}: {rows['fit']:,} images to learn from, {rows['test']:,} to be judged on",
            caption=f"In brackets {self.confidence:.0%} intervals. "
            + "Contestants that share a letter cannot be told apart."
            + self._clustered()
            + self._tuned(),
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("contestant", no_wrap=True)
        for column in ("accuracy", "macro F1", "group", "fit s", "ms/image", "MB"):
            table.add_column(column, justify="center" if column == "group" else "right", no_wrap=True)
        for outcome in self.ranked():
            table.add_row(
                escape(outcome.name),
                _interval(outcome.evaluation["accuracy"]),
                f"{outcome.evaluation['macro_f1'].value:.3f}",
                self.letters[outcome.name],
                f"{outcome.fit_seconds:,.1f}",
                f"{outcome.seconds_per_image * 1e3:.2f}",
                "-" if outcome.size_bytes is None else f"{outcome.size_bytes / 1e6:,.1f}",
            )
        return table

    def _clustered(self) -> str:
        """That intervals and tests count groups of rows, where some rows share one."""
        groups = self.data.get("clusters")
        if groups == 1:
            return " All rows are of one group: how far another would be from it, the intervals do not know."
        return "" if groups is None else f" Rows share {groups:,} groups, which is what counts."

    def _tuned(self) -> str:
        """The budget that each had for choosing settings, what was spent of it, and who was not tuned."""
        spent = self.tuning.get("contestants", {})
        if not spent:
            return ""
        folds, common = self.tuning.get("folds"), budget_words(self.tuning.get("budget", {}))
        where = f"the same {folds} folds" if folds else "the same validation rows"
        parts = [f" Tuned by {self.tuning['objective']} on {where}."]
        budgets = {name: budget_words(cost.get("budget", {})) or "not written down" for name, cost in spent.items()}
        if common:
            parts.append(f"Budget for each: {common}.")
        elif len(budgets) > 1:
            parts.append(f"Their budgets differ: {', '.join(f'{name} {words}' for name, words in budgets.items())}.")
        each = ", ".join(
            f"{name} {cost.get('trials', 0):.0f} in {cost.get('seconds', 0):,.0f} s" for name, cost in spent.items()
        )
        parts.append(f"Spent, in trials: {each}.")
        untuned = self.tuning.get("untuned")
        return " ".join([*parts, *([f"Not tuned: {', '.join(untuned)}."] if untuned else [])])

    def pair_table(self) -> "Table":
        """A row for each pair: the verdict, and the smallest difference that this test set could have shown."""
        names = [outcome.name for outcome in self.ranked()]
        return pair_table(self.pairs, names, self.cochran, clustered=self.data.get("clusters", 1) > 1)

    def verdict(self) -> str:
        """The answer in two sentences: who is the most accurate, who cannot be told from it, and what is cheap."""
        best, *others = self.ranked()
        accuracy = best.evaluation["accuracy"]
        first = f"Most accurate: {best.name}, {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})."
        if not others:
            return first
        beaten = {pair.a if pair.better == pair.b else pair.b for pair in self.pairs if pair.better == best.name}
        level = [outcome for outcome in others if outcome.name not in beaten]
        together = self._together()
        if not level:
            return f"{first} It is better than each of the others{self._could_show(best, others)}.{together}"
        quickest = min([best, *level], key=lambda outcome: outcome.fit_seconds)
        names = ", ".join(outcome.name for outcome in level)
        return (
            f"{first} These {self.data['rows']['test']:,} images cannot tell it from {names}"
            f"{self._could_show(best, level)}; "
            f"the quickest of all these to fit is {quickest.name} ({quickest.fit_seconds:,.1f} s).{together}"
        )

    def _together(self) -> str:
        """A sentence on the best ensemble against its best member, and what it costs more; '' where none fought."""
        ranked = self.ranked()
        for outcome in ranked:
            member = next((one for one in ranked if one.name in outcome.made_of.get("members", ())), None)
            pair = next(
                (pair for pair in self.pairs if member and {pair.a, pair.b} == {outcome.name, member.name}), None
            )
            if member is None or pair is None:
                continue
            sign = 1 if pair.a == outcome.name else -1
            lead, (low, high) = sign * pair.difference + 0.0, sorted((sign * pair.low, sign * pair.high))
            told = "cannot be told from" if pair.better is None else "is better than" if lead > 0 else "is worse than"
            price = outcome.seconds_per_image / max(member.seconds_per_image, 1e-9)
            return (
                f" The ensemble {outcome.name} {told} its best member, {member.name} "
                f"({lead:+.3f} [{low:+.3f}, {high:+.3f}], p {pair.holm_p:.2g}), at {price:.1f} times its time an image."
            )
        return ""

    def _could_show(self, best: Outcome, others: list[Outcome]) -> str:
        """The smallest difference from the best that these images could have shown, in brackets."""
        names = {outcome.name for outcome in others}
        pairs = [pair for pair in self.pairs if best.name in (pair.a, pair.b) and {pair.a, pair.b} & names]
        shown = [pair.smallest_difference for pair in pairs if pair.smallest_difference <= 1]
        if not shown:
            return " (no difference could show)" if pairs else ""
        return f" (a difference would show from {span(shown)} on)"

    def __str__(self) -> str:
        """The leaderboard, the pairs and the verdict as plain text."""
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, color_system=None)
        console.print(self.table())
        if self.pairs:
            console.print(self.pair_table())
        console.print(self.verdict(), highlight=False, markup=False)
        return str(console.file.getvalue())  # type: ignore[attr-defined]


def _interval(interval: Any) -> str:
    return f"{interval.value:.3f} \\[{interval.low:.3f}, {interval.high:.3f}]"
