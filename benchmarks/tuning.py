"""What a search is worth and what it costs. Run one part after the other, on a quiet machine:

    python benchmarks/tuning.py regret [--trials 40] [--seeds 20] [--surface branin hartmann6]
    python benchmarks/tuning.py gain --contestant hog_svm --data fashion_mnist --rows 10000 --trials 40
    python benchmarks/tuning.py gain --contestant cnn --data digits --trials 40
    python benchmarks/tuning.py suggestions
    python benchmarks/tuning.py memory --trials 200
    python benchmarks/tuning.py workers --trials 40 [--rounds 3]

regret: Branin and Hartmann-6 stand for a space: parameters in 0..1 and a loss in closed form, asked for by the
oracles of `toolkit.tuning` as in a search, against random search and, if installed, Optuna's TPE. Every method starts
where it likes; ours starts at the defaults, here the middle. Regret is the best loss found minus the lowest there is.
Printed are the median over the seeds with the quarters beside it, how many seeds were better than random search on the
same seed, and the seconds of one suggestion.

gain: a contestant with its defaults and with the best setting of a search, both refitted and judged on the test rows:
the paired differences of accuracy and of the log loss that was searched for, with their intervals. suggestions: how
long one takes after 40, 120 and 200 trials of the catalogue's largest space. memory: what a
search and its worker hold from trial 20 on. workers: the time of two workers on two cores by that of one on one core.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from keras_tuner import HyperParameters
from numpy.typing import NDArray

import toolkit
from toolkit import Classifier, Dataset, catalogue
from toolkit.tuning import Settings, Trial, tune
from toolkit.tuning.declared import build, declared
from toolkit.tuning.gaussian import propose
from toolkit.tuning.oracles import METHODS
from toolkit.tuning.points import Cube
from toolkit.tuning.spaces import shorter

Point = NDArray[np.float64]  # (M,), 0..1


def branin(point: Point) -> float:
    """Branin and Hoo (1972) over 0..1 twice, lowest 0."""
    x, y = 15 * point[0] - 5, 15 * point[1]
    valley = (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2
    return float(valley + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10 - 0.39788735773)


def hartmann6(point: Point) -> float:
    """Hartmann (1973) in six dimensions, lowest 0."""
    scales = np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    )
    centres = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    wells = np.exp(-(scales * (point - centres) ** 2).sum(axis=1))
    return float(3.32236801 - np.array([1, 1.2, 3, 3.2]) @ wells)


SURFACES: dict[str, tuple[Callable[[Point], float], int]] = {"branin": (branin, 2), "hartmann6": (hartmann6, 6)}


def ours(method: str, surface: Callable[[Point], float], dimensions: int, trials: int, seed: int) -> list[float]:
    """Losses of a search by an oracle of `toolkit.tuning`, in their order."""
    space = HyperParameters()
    names = [f"x{number}" for number in range(dimensions)]
    for name in names:
        space.Float(name, 0.0, 1.0, default=0.5)
    oracle = METHODS[method](space, "log_loss", seed)
    losses = []
    for _ in range(trials):
        trial = oracle.create_trial("benchmark")
        losses.append(surface(np.array([trial.hyperparameters.values[name] for name in names])))
        oracle.update_trial(trial.trial_id, {"log_loss": losses[-1]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return losses


def optuna_tpe(surface: Callable[[Point], float], dimensions: int, trials: int, seed: int) -> list[float]:
    """Losses of Optuna's default sampler, in their order."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def loss(trial: "optuna.Trial") -> float:
        return surface(np.array([trial.suggest_float(f"x{number}", 0, 1) for number in range(dimensions)]))

    study.optimize(loss, n_trials=trials)
    return [float(trial.value) for trial in study.trials]


def methods() -> dict[str, Callable[..., list[float]]]:
    """The methods by name, random search first."""
    found: dict[str, Callable[..., list[float]]] = {
        "random": lambda *rest: ours("random", *rest),
        "bayesian": lambda *rest: ours("bayesian", *rest),
    }
    try:
        import optuna
    except ImportError:
        print("Optuna is not installed; without its TPE.")
        return found
    return {**found, f"TPE, Optuna {optuna.__version__}": optuna_tpe}


def report(name: str, trials: int, seeds: Sequence[int]) -> None:
    """Print a line for each method on one surface."""
    surface, dimensions = SURFACES[name]
    print(f"{name}, {trials} trials, {len(seeds)} seeds")
    chance: NDArray[np.float64] | None = None
    for method, search in methods().items():
        start = perf_counter()
        regrets = np.array([min(search(surface, dimensions, trials, seed)) for seed in seeds])
        seconds = (perf_counter() - start) / len(seeds) / trials
        chance = regrets if chance is None else chance
        low, middle, high = np.quantile(regrets, (0.25, 0.5, 0.75))
        better = f"{(regrets < chance).sum()} of {len(seeds)}" if chance is not regrets else "-"
        print(
            f"  {method:22} regret {middle:8.4f} ({low:.4f} to {high:.4f})  better than random: {better:9} "
            f"{seconds:.3f} s a suggestion"
        )


def space_of(contestant: str, dataset: Dataset, epochs: int | None) -> Callable[[HyperParameters], Classifier]:
    """The contestant's space of the catalogue, for networks of so many epochs."""
    return catalogue.space(contestant, dataset.image_shape, recipe=toolkit.Recipe(epochs=epochs))


def gain(contestant: str, data: str, rows: int | None, trials: int, epochs: int | None, out: Path | None) -> None:
    """Print the accuracy of the defaults, of the tuned, and the difference on the test rows.

    `epochs` are those of a trial; the two that are judged train as long as they do without tuning, as in `compare`.
    """
    dataset = toolkit.load(data, seed=0)
    if rows is not None:
        random = np.random.default_rng(0)
        both = {"train": round(0.9 * rows), "validation": rows - round(0.9 * rows)}
        parts = {
            name: part.take(np.sort(random.permutation(len(part))[:count]))
            for name, count in both.items()
            for part in [getattr(dataset, name)]
        }
        dataset = replace(dataset, **parts)
    recipe = shorter(toolkit.Recipe(epochs=epochs), len(dataset.train))
    space, whole = space_of(contestant, dataset, recipe.epochs), space_of(contestant, dataset, None)
    search = tune(space, dataset, trials=trials, name=contestant, out=out)
    seconds = search.spent["seconds"]
    fighters = {"defaults": whole(declared(whole)), "tuned": build(whole, declared(whole), search.best.values)}
    result = toolkit.compare(fighters, dataset, show_progress=False)
    fitted, judged = len(dataset.train) + len(dataset.validation), len(dataset.test)
    print(f"{contestant} on {data}, {fitted:,} rows to learn from, {judged:,} to be judged on")
    spent = search.spent
    print(
        f"  {trials} trials, {spent['pruned']} pruned, {spent['failed']} failed, {seconds:.0f} s: {search.best.values}"
    )
    for name, outcome in result.outcomes.items():
        accuracy = outcome.evaluation["accuracy"]
        print(f"  {name:9} accuracy {accuracy.value:.4f} ({accuracy.low:.4f} to {accuracy.high:.4f})")
    pair = result.pairs[0]
    print(f"  {pair.a} - {pair.b}: {pair.difference:+.4f} ({pair.low:+.4f} to {pair.high:+.4f}), {pair.verdict}")
    place, images = (np.arange(judged), dataset.test.labels), dataset.test.images
    before, after = (-np.log(np.maximum(one.predict_proba(images)[place], 1e-15)) for one in fighters.values())
    less, low, high = lead(before - after)
    print(f"  log loss of the defaults {before.mean():.4f}, the tuned less by {less:.4f} ({low:+.4f} to {high:+.4f})")


def lead(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over rows, and the quantiles 0.025 and 0.975 of 2,000 bootstrap means."""
    random = np.random.default_rng(0)
    means = [random.choice(differences, len(differences)).mean() for _ in range(2000)]
    return float(differences.mean()), *np.quantile(means, (0.025, 0.975)).tolist()


def suggestions(counts: Sequence[int] = (40, 120, 200), rounds: int = 3) -> None:
    """Print the seconds of one suggestion after so many trials, in the space with the most parameters."""
    names = [name for name, entry in catalogue.CATALOGUE.items() if not entry.backbone]
    spaces = {name: declared(catalogue.space(name, (32, 32, 3))) for name in names}
    name = max(spaces, key=lambda one: len(Cube(spaces[one])))
    cube, random = Cube(spaces[name]), np.random.default_rng(0)
    points = np.array([cube.point(cube.values(point)) for point in random.random((max(counts), len(cube)))])
    losses = ((cube.features(points) - 0.4) ** 2).sum(axis=1) + random.normal(0, 0.02, len(points))
    print(f"{name}, the largest space, {len(cube)} parameters: seconds of one suggestion")
    for count in counts:
        times = []
        for number in range(rounds):
            start = perf_counter()
            propose(points[:count], losses[:count], cube.features, [0, number])
            times.append(perf_counter() - start)
        print(f"  after {count:3} trials {median(times):.2f} s ({min(times):.2f} to {max(times):.2f})", flush=True)


def memory(contestant: str, data: str, trials: int, epochs: int | None) -> None:
    """Print what the search and its worker hold, every 20 trials."""
    dataset = toolkit.load(data, seed=0)
    seen: dict[int, int] = {}

    def watch(book: Sequence[Trial]) -> None:
        ended = sum(trial.status != "running" for trial in book)
        if ended % 20 == 0 and ended not in seen and ended:
            seen[ended] = family_bytes()
            print(f"  after {ended:3} trials {seen[ended] / 1e6:7.0f} MB", flush=True)

    print(f"{contestant} on {data}, {trials} trials: resident memory of the search and its worker")
    tune(space_of(contestant, dataset, epochs), dataset, trials=trials, watch=watch, settings=Settings(method="random"))
    first, *others = seen.values()
    print(f"  most after the first 20: {(max(others, default=first) - first) / 1e6:+.0f} MB")


def family_bytes() -> int:
    """Resident memory of this process and those that it started."""
    total, own = 0, os.getpid()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:  # it has ended meanwhile
            continue
        if int(status.parent.name) == own or f"PPid:\t{own}\n" in text:
            held = re.search(r"VmRSS:\s+(\d+) kB", text)
            total += 1024 * int(held[1]) if held else 0
    return total


def workers(contestant: str, data: str, trials: int, rounds: int, epochs: int | None) -> None:
    """Print the median ratio of the time of two workers on two cores to that of one on one core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("Expected two cores.")
    dataset = toolkit.load(data, seed=0)
    space, times = space_of(contestant, dataset, epochs), {1: list[float](), 2: list[float]()}
    for _ in range(rounds):
        for count in times:
            os.sched_setaffinity(0, cores[:count])  # of this thread and the processes that it starts
            start = perf_counter()
            tune(space, dataset, trials=trials, workers=count, settings=Settings(method="random"))
            times[count].append(perf_counter() - start)
    os.sched_setaffinity(0, cores)
    ratios = [two / one for one, two in zip(times[1], times[2], strict=True)]
    print(
        f"{contestant} on {data}, {trials} trials: one worker {median(times[1]):.1f} s, two {median(times[2]):.1f} s, "
        f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} over {rounds} rounds)"
    )


def main() -> None:
    """Run the part asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "part", nargs="?", choices=("regret", "gain", "suggestions", "memory", "workers"), default="regret"
    )
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--surface", nargs="+", choices=sorted(SURFACES), default=list(SURFACES))
    parser.add_argument("--contestant", help="[cnn; of workers pixels_svm]")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--rows", type=int, help="so many training and validation rows")
    parser.add_argument("--epochs", type=int, help="of networks in a trial; [gain: a third, memory: 2]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="gain: folder of the search, which goes on in it")
    chosen = parser.parse_args()
    if chosen.part == "gain":
        gain(chosen.contestant or "cnn", chosen.data, chosen.rows, chosen.trials, chosen.epochs, chosen.out)
    elif chosen.part == "suggestions":
        suggestions()
    elif chosen.part == "memory":
        memory(chosen.contestant or "cnn", chosen.data, chosen.trials, chosen.epochs or 2)
    elif chosen.part == "workers":
        workers(chosen.contestant or "pixels_svm", chosen.data, chosen.trials, chosen.rounds, chosen.epochs)
    else:
        for name in chosen.surface:
            report(name, chosen.trials, range(chosen.seeds))


if __name__ == "__main__":
    main()
