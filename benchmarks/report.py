"""How long the report of 6 contestants x 100 classes x 10,000 images takes to write and to open, and how large it is.

Needs Chromium (.ci/install-browser). The peer is the time that the same browser needs for an empty page.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import Browser, find_browser
from made_runs import make_run

from toolkit.report import write_report

REPEATS = 5


def opened(browser: Browser, path: Path) -> float:
    """Median seconds from asking for a file until the browser says that it is loaded."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        browser.open(path)
        seconds.append(time.perf_counter() - start)
        if browser.complaints() or browser.requests():
            raise SystemExit(f"Expected a quiet page. Received: {browser.complaints()} {browser.requests()}.")
    return sorted(seconds)[REPEATS // 2]


def main() -> None:
    """Print the figures."""
    if find_browser() is None:
        raise SystemExit("Expected a Chromium. Received none: .ci/install-browser installs one.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make_run(folder / "run", classes=100, rows=10_000, side=64)
        start = time.perf_counter()
        path = write_report([made.folder], folder / "report.html", images=[made.images])
        written = time.perf_counter() - start
        (folder / "empty.html").write_text("<!doctype html><title>empty</title>")
        with Browser() as browser:
            report, empty = opened(browser, path), opened(browser, folder / "empty.html")
        print(f"written in {written:.1f} s, {path.stat().st_size / 1e6:.2f} MB")
        print(f"opened in {report:.2f} s, an empty page in {empty:.2f} s (median of {REPEATS})")


if __name__ == "__main__":
    main()
