"""The answer in two sentences: which one and how sure, then whether the deep one pays, or what the first costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.figures.cost import PRICES, PRICES_BY_KEY
from toolkit.report.figures.intervals import pair_difference, points_between
from toolkit.report.reading import Entrant, Run
from toolkit.report.text import fixed, listed, p_value, percent, points, points_needed, times

CANNOT_TELL = "cannot tell"
WORTH_SAYING = 0.8  # of the time of the first; who needs more than that saves too little for a sentence


def verdict(run: Run) -> tuple[str, ...]:
    """Two sentences as plain text, a third where an ensemble fought; one for a run of a single contestant."""
    first = run.entrants[0]
    accuracy = first.metric("accuracy")
    ends = f" ({points(accuracy.low)} to {percent(accuracy.high)})" if accuracy and accuracy.low is not None else ""
    value = f"{percent(accuracy.value if accuracy else None)}{ends} of {run.test_rows:,} test images right"
    if len(run.entrants) == 1:
        return (f"{first.name} gets {value}.",)
    said = (f"{first.name} is the most accurate, with {value}{_how_sure(run)}.", _worth_it(run))
    return said + _together(run)


def pair_of(run: Run, one: str, other: str) -> Mapping[str, Any] | None:
    """The entry of two contestants, whichever way round it was written."""
    return next((pair for pair in run.pairs if {pair.get("a"), pair.get("b")} == {one, other}), None)


def undecided(pair: Mapping[str, Any] | None) -> bool:
    """Whether the verdict of a pair is that one cannot tell."""
    return pair is None or pair.get("verdict") == CANNOT_TELL


def _how_sure(run: Run) -> str:
    first, others = run.entrants[0], run.entrants[1:]
    if not run.pairs:
        return ""
    alike = [entrant for entrant in others if undecided(pair_of(run, first.name, entrant.name))]
    if not alike:
        beaten = "each of the others" if len(others) > 1 else others[0].name
        return f", and is better than {beaten}{_could_show(run, first, others)}"
    names = [entrant.name for entrant in alike]
    said = listed(names) if len(alike) <= 3 else f"{len(alike)} of the {len(others)} others"
    return f", but this test set cannot tell it from {said}{_could_show(run, first, alike)}{_thriftier(run, alike)}"


def _could_show(run: Run, first: Entrant, others: Sequence[Entrant]) -> str:
    """The smallest difference that this test set could have shown, in brackets."""
    pairs = [pair_of(run, first.name, other.name) or {} for other in others]
    shown = [found for pair in pairs if isinstance(found := pair.get("smallest_difference"), float)]
    if not shown:
        return " (no difference could show)" if any("smallest_difference" in pair for pair in pairs) else ""
    least, most = points_needed(min(shown)), points_needed(max(shown))
    return f" (a difference would show from {least if least == most else f'{least} to {most}'} points on)"


def _thriftier(run: Run, alike: Sequence[Entrant]) -> str:
    """What the cheapest of those that cannot be told from the first saves, unless the second sentence says it."""
    first, price = run.entrants[0], PRICES_BY_KEY["batch"]
    mine = price.of(first)
    known = [(cost, entrant) for entrant in alike if (cost := price.of(entrant))]
    if mine is None or not known or len({entrant.deep for entrant in run.entrants}) == 1:
        return ""
    theirs, cheapest = min(known, key=lambda one: one[0])
    if theirs > WORTH_SAYING * mine or cheapest.deep != first.deep:
        return ""
    which = ", which" if len(alike) == 1 else f"; {cheapest.name}"
    return f"{which} needs {percent(theirs / mine, 0)} of its time for an image"


def _worth_it(run: Run) -> str:
    """Best network against best of the others, where both sides fought; else the first against the cheapest."""
    alone = [entrant for entrant in run.entrants if not entrant.members]  # an ensemble of networks is not a network
    deep = next((entrant for entrant in alone if entrant.deep), None)
    classical = next((entrant for entrant in run.entrants if not entrant.deep), None)
    if deep is None or classical is None:
        return _cheapest(run)
    cost = _cost_ratio(deep, classical)
    difference = _points(run, deep.name, classical.name)
    pair = pair_of(run, deep.name, classical.name)
    ahead = run.entrants.index(deep) < run.entrants.index(classical)
    would = _could_show(run, deep, [classical]) if len(run.entrants) > 2 else ""  # of two, the first sentence says it
    if pair is not None and undecided(pair):
        return f"Whether a network pays, these images cannot tell{would}; {deep.name} {cost}."
    if ahead:
        leads = f"{difference} ahead of {classical.name}, the best without one{would}"
        return f"The best network, {deep.name}, is {leads}, and {cost}."
    behind = f"{difference} behind {classical.name}{would}"
    return f"A network does not pay here: the best, {deep.name}, is {behind} and {cost}."


def _together(run: Run) -> tuple[str, ...]:
    """The best ensemble against its best member: whether it is worth its cost; nothing where none fought."""
    for entrant in run.entrants:
        best = next((one for one in run.entrants if one.name in entrant.members), None)
        if best is None:
            continue
        pair, would = pair_of(run, entrant.name, best.name), _could_show(run, entrant, [best])
        p = f", p {p_value(pair.get('holm_p'))}" if pair else ""
        cost = _cost_ratio(entrant, best)
        if undecided(pair):
            return (
                f"Whether the ensemble {entrant.name} is better than its best member, {best.name}, these images cannot "
                f"tell: {_signed(run, entrant.name, best.name)}{p}{would}; it {cost}.",
            )
        ahead = run.entrants.index(entrant) < run.entrants.index(best)
        stands = f"{'ahead of' if ahead else 'behind'} its best member, {best.name}{would}"
        worth = "" if ahead else ": not worth its cost"
        return (
            f"The ensemble {entrant.name} is {_points(run, entrant.name, best.name)}{p}, {stands}, and {cost}{worth}.",
        )
    return ()


def _cheapest(run: Run) -> str:
    first = run.entrants[0]
    alike = [
        entrant for entrant in run.entrants if entrant is first or undecided(pair_of(run, first.name, entrant.name))
    ]
    price = PRICES[0]
    cheapest = min(alike, key=lambda entrant: price.of(entrant) or float("inf"))
    if cheapest is first or not run.pairs:
        other = next(entrant for entrant in run.entrants if entrant is not first)
        return f"It {_cost_ratio(first, other)}."
    return f"Of those, {cheapest.name} is the cheapest: {first.name} {_cost_ratio(first, cheapest)}."


def _points(run: Run, one: str, other: str) -> str:
    pair = pair_of(run, one, other)
    found = pair_difference(pair) if pair else None
    if found is None:
        return "some points"
    value = f"{points(abs(found.value))} points"
    if found.low is None or found.high is None:
        return value
    low, high = sorted((abs(found.low), abs(found.high)))
    return f"{value} ({points(low)} to {points(high)})"


def _signed(run: Run, one: str, other: str) -> str:
    """As in "+0.4 points (−0.6 to 1.4)"."""
    found = points_between(run.pairs, one, other)
    if found is None:
        return "some points"
    ends = "" if found.low is None else f" ({fixed(found.low, 1)} to {fixed(found.high, 1)})"
    return f"{'+' if found.value > 0 else ''}{fixed(found.value, 1)} points{ends}"


def _cost_ratio(one: Entrant, other: Entrant) -> str:
    """As in "needs 12 times the time of hog_svm for an image and 32 % as long to fit"."""
    said: list[str] = []
    for key, words in (("batch", "for an image"), ("fit", "to fit")):
        mine, theirs = PRICES_BY_KEY[key].of(one), PRICES_BY_KEY[key].of(other)
        if mine and theirs:
            factor = f"{times(mine / theirs)} times" if mine >= theirs else percent(mine / theirs, 0)
            whole = "as long" if said else f"{'of ' if mine < theirs else ''}the time of {other.name}"
            said.append(f"{factor} {whole} {words}")
    return f"needs {' and '.join(said)}" if said else f"was not timed beside {other.name}"
