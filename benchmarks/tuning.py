"""How far a search stays from the lowest point of known surfaces: ours, random search, and Optuna's TPE if installed.

    python benchmarks/tuning.py [--trials 40] [--seeds 20] [--surface branin hartmann6]

Branin and Hartmann-6 stand for a space: parameters that vary in 0..1 and a loss in closed form, asked for by the
oracles of `toolkit.tuning` as in a search. Every method starts where it likes; ours starts at the defaults, here the
middle. Regret is the best loss found minus the lowest there is. Printed are the median over the seeds with the quarters
beside it, how many seeds were better than random search on the same seed, and the seconds of one suggestion.
"""

import argparse
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from keras_tuner import HyperParameters
from numpy.typing import NDArray

from toolkit.tuning.oracles import METHODS

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


def main() -> None:
    """Run the surfaces asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--surface", nargs="+", choices=sorted(SURFACES), default=list(SURFACES))
    chosen = parser.parse_args()
    for name in chosen.surface:
        report(name, chosen.trials, range(chosen.seeds))


if __name__ == "__main__":
    main()
