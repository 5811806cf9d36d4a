"""How fast is the audit, in how much memory, and against cleanvision: python benchmarks/audit.py [--images 10000].

Makes its own JPEGs of 224 pixels in a temporary folder (varied cuts of scikit-image's photographs with fine noise, so
that they decode as photographs do). Every run is a process of its own. cleanvision is measured where it is installed,
with two processes, on the questions it shares: dark, light, blurry, odd size and aspect, information, exact and near
duplicates.
"""

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

EDGE = 224
THREADS = 2


def make_images(root: Path, count: int) -> None:
    """Cuts of four photographs in four class folders, each its own place, scale and brightness."""
    from skimage import data

    photographs = {
        "cat": data.chelsea(),
        "rocket": data.rocket(),
        "coffee": data.coffee(),
        "astronaut": data.astronaut(),
    }
    generator = np.random.default_rng(0)
    for number in range(count):
        name = list(photographs)[number % len(photographs)]
        picture = photographs[name]
        side = int(generator.integers(80, 260))
        top, left = (int(generator.integers(0, size - side)) for size in picture.shape[:2])
        cut = cv2.resize(picture[top : top + side, left : left + side], (EDGE, EDGE), interpolation=cv2.INTER_CUBIC)
        noisy = cut * generator.uniform(0.8, 1.2) + generator.normal(0, 8, cut.shape)
        folder = root / name
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), noisy.clip(0, 255)[:, :, ::-1].astype(np.uint8))


def run_audit(root: Path) -> None:
    """The audit, as `touchstone audit` calls it."""
    from toolkit.data.audit import audit

    print(audit(root).headline().partition(": ")[2])


def run_cleanvision(root: Path) -> None:
    """All that cleanvision asks about pictures."""
    from cleanvision import Imagelab

    Imagelab(data_path=str(root), verbose=False).find_issues(n_jobs=THREADS, verbose=False)


def measured(what: str, root: Path) -> tuple[float, float]:
    """Seconds and peak MB of a process that runs one of the above; what it starts itself is not in the memory."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import audit; audit.child(sys.argv[2], sys.argv[3])"
    command = [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent), what, str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *sys.path[1:]])}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    print(f"  {what}: {done.stdout.strip().splitlines()[0]}")
    return time.perf_counter() - start, float(done.stdout.strip().splitlines()[-1])


def child(what: str, root: str) -> None:
    """In the measured process: do it and say how much memory it took at most, in MB."""
    {"audit": run_audit, "cleanvision": run_cleanvision}[what](Path(root))
    print(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def main() -> None:
    """Print seconds, images a second, peak memory, how memory grows with the images, and the ratio to the peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary) / "small", Path(temporary) / "large"
        for root, images in ((small, count // 10), (large, count)):
            root.mkdir()
            make_images(root, images)
        few_seconds, few_peak = measured("audit", small)
        seconds, peak = measured("audit", large)
        print(f"{os.cpu_count()} cores, {EDGE} pixels, load before {os.getloadavg()[0]:.1f}")
        print(f"touchstone audit, {count // 10:,} images: {few_seconds:.1f} s, peak {few_peak:,.0f} MB")
        print(
            f"touchstone audit, {count:,} images: {seconds:.1f} s, {count / seconds:,.0f} images/s, peak {peak:,.0f} MB"
        )
        print(f"memory an image: {(peak - few_peak) * 2**20 / (count - count // 10):,.0f} bytes")
        if importlib.util.find_spec("cleanvision") is None:
            print("cleanvision: not installed (pip install cleanvision), no ratio")
            return
        peer, _ = measured("cleanvision", large)
        print(f"cleanvision, {THREADS} processes: {peer:.1f} s; the audit is {peer / seconds:.1f} times as fast")


if __name__ == "__main__":
    main()
