"""Support vector machines where rows are many, beside the textbook's, in one run.

    python benchmarks/svm.py fashion --data FOLDER [--rows 60000] [--test 10000] [--peers hog_svm textbook ...]
    python benchmarks/svm.py stream [--rows 20000] [--features 1296]
    python benchmarks/svm.py few [--rows 1257] [--rounds 5]

`fashion` reads Fashion-MNIST's four IDX files in FOLDER (default: fashion_mnist below TOUCHSTONE_TEST_DATA) and takes
each peer once through features, fit, calibration and prediction, in a process of its own, whose peak of memory it
prints. The textbook script is scikit-image's HOG in a loop, StandardScaler and a calibrated SVC. `stream` learns a
linear machine from a file of rows x features on disk, alone and with its calibration, and prints how much of it was in
memory; with --rows 1000000 the file has 5.2 GB. `few` fits the linear machine to HOG of scikit-learn's digits, more
features than rows, by Newton's method, by L-BFGS and by scikit-learn's LinearSVC, in turns; the objective is what all
of them minimise, but for LinearSVC's intercept.
"""

import argparse
import gzip
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def fashion(folder: Path, part: str, rows: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 (N, 28, 28, 1) and labels of the first `rows` of "train" or "t10k"."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images[:rows], labels[:rows].astype(np.int64)


def textbook(engine: str = "sklearn") -> Any:
    """What most scripts do: scikit-image in a loop, every feature divided by its deviation, SVC and its calibration.

    By scikit-learn-intelex it is the same machine in a fraction of the time, so that its accuracy can be seen where
    scikit-learn's own would take hours.
    """
    from skimage.feature import hog
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.svm import SVC

    if engine == "sklearnex":
        from sklearnex.svm import SVC

    def features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.stack([hog(image[..., 0], 9, (4, 4), (2, 2)) for image in images])

    machine = CalibratedClassifierCV(SVC(C=10.0), ensemble=False, cv=5)
    return make_pipeline(FunctionTransformer(features), StandardScaler(), machine)


def ours(kernel: str, engine: str = "sklearn") -> Callable[[], Any]:
    """`hog_svm` with a kernel and an engine."""

    def build() -> Any:
        from baselines import hog_svm

        return hog_svm(kernel=kernel, engine=engine)

    return build


PEERS: dict[str, Callable[[], Any]] = {
    "hog_svm": ours("rbf"),
    "hog_svm nystroem": ours("nystroem"),
    "hog_svm fourier": ours("fourier"),
    "hog_svm chi2": ours("chi2"),
    "hog_svm linear": ours("linear"),
    "hog_svm linear keras": ours("linear", "keras"),
    "textbook": textbook,
    "textbook sklearnex": partial(textbook, "sklearnex"),
}


def contend(name: str, folder: Path, rows: int, test: int, sender: Any) -> None:
    """One peer from images to accuracy, in this process: seconds of fit and of prediction, on the wall and of the
    processor (all threads), accuracy, peak bytes.
    """
    learn, judge = fashion(folder, "train", rows), fashion(folder, "t10k", test)
    classifier = PEERS[name]()
    start = np.array([time.perf_counter(), time.process_time()])
    classifier.fit(*learn)
    fitted = np.array([time.perf_counter(), time.process_time()])
    accuracy = float(np.mean(classifier.predict_proba(judge[0]).argmax(axis=1) == judge[1]))
    ended = np.array([time.perf_counter(), time.process_time()])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sender.send((fitted - start, ended - fitted, accuracy, peak))


def compare_on_fashion(folder: Path, rows: int, test: int, peers: list[str]) -> None:
    """A line for each peer, its seconds as a share of the textbook's; load hardly changes those of the processor."""
    spawn = multiprocessing.get_context("spawn")
    print(f"{rows:,} to learn from, {test:,} to predict; {os.cpu_count()} cores")
    seconds: dict[str, NDArray[np.float64]] = {}
    for name in peers:
        receiver, sender = spawn.Pipe(duplex=False)
        process = spawn.Process(target=contend, args=(name, folder, rows, test, sender))
        process.start()
        sender.close()
        try:
            fit, predict, accuracy, peak = receiver.recv()
        except EOFError:
            print(f"{name:>22}  failed")
            continue
        process.join()
        seconds[name] = fit + predict
        print(
            f"{name:>22}  fit {fit[0]:8.1f} s ({fit[1]:.1f} of the processor)  predict {predict[0]:7.1f} s "
            f"({predict[1]:.1f})  accuracy {accuracy:.4f}  peak {peak / 2**30:.2f} GiB",
            flush=True,
        )
    for name, total in seconds.items():
        if "textbook" in seconds and name != "textbook":
            wall, processor = seconds["textbook"] / total
            print(f"{name:>22}  {wall:.1f} times as fast as the textbook script, {processor:.1f} in processor time")


def written(path: Path, rows: int, features: int) -> NDArray[np.int64]:
    """Write float32 (rows, features) of ten classes, sorted by them, not negative as HOG's; returns the labels."""
    random = np.random.default_rng(0)
    centres = random.random((10, features), np.float32)
    stored = np.lib.format.open_memmap(path, "w+", np.float32, (rows, features))
    labels = np.sort(np.arange(rows) % 10)
    for start in range(0, rows, 8192):
        part = labels[start : start + 8192]
        noise = random.standard_normal((len(part), features), np.float32)
        stored[start : start + 8192] = np.maximum(0, centres[part] * 0.2 + noise)
    stored.flush()
    return labels


def stream(rows: int, features: int) -> None:
    """The linear machine in mini-batches from a file, alone and as the contestant that it is, calibrated; and the
    accuracy of either on rows that it saw.
    """
    from baselines.hinge import MinibatchSVM
    from baselines.svm import svm

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        labels = written(path, rows, features)
        MinibatchSVM(epochs=1).fit(np.zeros((64, features), np.float32), np.arange(64) % 10)  # Keras wakes, compiles
        some = np.sort(np.random.default_rng(1).choice(rows, min(rows, 20_000), replace=False))
        print(f"{rows:,} x {features:,}, {path.stat().st_size / 2**30:.2f} GiB on disk")
        for name, machine in (("alone", MinibatchSVM(C=1.0)), ("calibrated", svm("linear", 1.0, engine="keras"))):
            start, before = time.perf_counter(), own_bytes()
            with Watch() as watch:
                machine.fit(np.load(path, mmap_mode="r"), labels)
            seconds, held = time.perf_counter() - start, watch.highest - before
            accuracy = np.mean(machine.predict(np.load(path, mmap_mode="r")[some]) == labels[some])
            print(
                f"{name:>12}  fit {seconds:.1f} s, {held / 2**30:.2f} GiB more at its highest, accuracy {accuracy:.3f}",
                flush=True,
            )


def few(rows: int, rounds: int) -> None:
    """Seconds of each solver, medians, and how low its objective came."""
    from sklearn.datasets import load_digits
    from sklearn.svm import LinearSVC

    from baselines import HOGFeatures, SquaredHingeSVM, machines

    digits = load_digits()
    images = np.kron(digits.images[:rows], np.ones((4, 4)))[..., None].astype(np.uint8) * 15
    hog = HOGFeatures(cells_across=8, orientations=11, block_norm="L1-sqrt", levels=2, transform_sqrt=True)
    features, labels = hog.fit_transform(images), digits.target[:rows]
    signs = np.where(labels[:, None] == np.arange(10), 1.0, -1.0)

    def newton(C: float) -> Any:
        return SquaredHingeSVM(C).fit(features, labels)

    def l_bfgs(C: float) -> Any:
        most, machines.FEW = machines.FEW, 0
        try:
            return SquaredHingeSVM(C).fit(features, labels)
        finally:
            machines.FEW = most

    def liblinear(C: float) -> Any:
        return LinearSVC(C=C, intercept_scaling=10, max_iter=10_000).fit(features, labels)

    print(f"{len(features):,} rows of {features.shape[1]:,} features, {rounds} rounds")
    for C in (1.0, 100.0):
        times: dict[str, list[float]] = {}
        lowest: dict[str, float] = {}
        for _ in range(rounds):
            for solver in (newton, l_bfgs, liblinear):
                start = time.perf_counter()
                machine = solver(C)
                times.setdefault(solver.__name__, []).append(time.perf_counter() - start)
                slack = np.maximum(0, 1 - signs * (features.astype(float) @ machine.coef_.T + machine.intercept_))
                lowest[solver.__name__] = float(np.sum(machine.coef_**2) / 2 + C * np.sum(slack**2))
        for name, seconds in times.items():
            ratio = np.median(np.array(seconds) / np.array(times["newton"]))
            print(f"C {C:5g} {name:>10} {np.median(seconds):7.2f} s, {ratio:6.2f} times, objective {lowest[name]:.6g}")


def own_bytes() -> int:
    """Memory of this process that no file backs (Linux), in bytes: pages of the map come and go as there is room."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Watch(threading.Thread):
    """Looks at `own_bytes` twenty times a second while it is entered; the most stands in `highest`."""

    def __enter__(self) -> "Watch":
        self.highest, self.ended = 0, threading.Event()
        self.start()
        return self

    def run(self) -> None:
        while not self.ended.wait(0.05):
            self.highest = max(self.highest, own_bytes())

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["fashion", "stream", "few"], default="stream")
    parser.add_argument("--rounds", type=int, default=5, help="of few")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--rows", type=int, help="2,000 of fashion, 20,000 of stream, 1,257 of few")
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--features", type=int, default=1296)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=["hog_svm", "textbook"])
    arguments = parser.parse_args()
    folder = arguments.data or Path(os.environ.get("TOUCHSTONE_TEST_DATA", ".")) / "fashion_mnist"
    if arguments.what == "few":
        few(arguments.rows or 1257, arguments.rounds)
    elif arguments.what == "stream":
        stream(arguments.rows or 20_000, arguments.features)
    else:
        compare_on_fashion(folder, arguments.rows or 2000, arguments.test, arguments.peers)


if __name__ == "__main__":
    main()
