"""The decode-once store: the right pixels, kept by content, whole or not there, whatever happens meanwhile."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.data import cache as caching
from toolkit.data import content, store
from toolkit.data.cache import clear, entries, gathered
from toolkit.data.decode import decode
from toolkit.data.store import facts, open_store
from toolkit.errors import InputError

SIZE = (24, 32)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def write_pictures(folder: Path, count: int = 40, grey: bool = False) -> list[Path]:
    """Pictures of many sizes and two formats."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for row in range(count):
        shape = (40 + row % 7, 30 + row % 11) if grey else (40 + row % 7, 30 + row % 11, 3)
        suffix = "png" if row % 2 else "jpg"
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / f"{row:03d}.{suffix}")
    return sorted(folder.iterdir())


def opened(files: list[Path], cache: Path, size: tuple[int, int] | None = SIZE) -> store.Store:
    return open_store(files, [path.name for path in files], size, "crop", cache, threads=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_rows_are_what_decoding_gives_and_are_mapped_read_only(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set")
    built = opened(files, cache)
    assert isinstance(built.images, np.memmap)
    assert not built.images.flags.writeable
    assert built.images.shape == (len(files), *SIZE, 3)
    for path, image in zip(files, built.images, strict=True):
        np.testing.assert_array_equal(image, decode(path.read_bytes(), SIZE, "crop").pixels)


def test_all_grey_is_one_channel(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", grey=True)
    images = opened(files, cache).images
    assert images.shape == (len(files), *SIZE, 1)
    np.testing.assert_array_equal(images[3], decode(files[3].read_bytes(), SIZE, "crop").pixels)


def test_built_once_per_content_and_settings(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_pictures(tmp_path / "set", 6)
    first = opened(files, cache)
    moved = [path.rename(tmp_path / f"moved_{path.name}") for path in files]
    with monkeypatch.context() as patched:
        patched.setattr(store, "decode", lambda *_: pytest.fail("decoded again"))
        assert opened(moved, cache).folder == first.folder
    assert opened(moved, cache, (8, 8)).folder != first.folder
    moved[0].write_bytes(moved[2].read_bytes())
    changed = opened(moved, cache)
    assert changed.folder != first.folder
    np.testing.assert_array_equal(changed.images[0], changed.images[2])


def test_bad_files_are_left_out_by_row_with_the_reason(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 8)
    files[2].write_text("no picture")
    gone = [*files, tmp_path / "set" / "gone.png"]
    built = opened(gone, cache)
    assert built.rows.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert built.bad.keys() == {2, 8}
    assert "no image by its content" in built.bad[2]
    assert "No such file" in built.bad[8]
    np.testing.assert_array_equal(built.images[2], decode(files[3].read_bytes(), SIZE, "crop").pixels)
    found = facts(built.folder)
    assert (found[0].format, found[0].width, found[0].height) == ("JPEG", 30, 40)
    assert found[0].bytes == files[0].stat().st_size


def test_no_picture_at_all(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"1 that cannot, such as 'a\.png': no image"):
        opened([tmp_path / "a.png"], cache)
    assert not entries(cache)


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_pictures(tmp_path / "set", 4)
    look = content.contents

    def late(*arguments: object) -> list[content.Content]:
        found = look(*arguments)  # type: ignore[arg-type]
        files[1].unlink()
        return found

    monkeypatch.setattr(store, "contents", late)
    with pytest.raises(InputError, match=r"'001\.png' changed meanwhile"):
        opened(files, cache)
    assert not entries(cache)


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from toolkit.data import decode, store

folder, cache = Path(sys.argv[1]), Path(sys.argv[2])
files = sorted(folder.iterdir())
real = store.decode

def slow(*arguments):
    time.sleep(0.002)
    return real(*arguments)

def journalled():
    return sum(len(path.read_bytes().splitlines()) for path in cache.glob("stores/*.partial/rows.jsonl"))

store.decode = slow
random.seed(0)
progress = [0]
for _ in range(10):
    child = os.fork()
    if child == 0:
        store.open_store(files, [path.name for path in files], (24, 32), "crop", cache, threads=2)
        os._exit(0)
    while journalled() <= progress[-1] and not list(cache.glob("stores/*/store.json")):
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    progress.append(journalled())
store.open_store(files, [path.name for path in files], (24, 32), "crop", cache, threads=2)
print(*progress)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_build_killed_ten_times_ends_byte_equal(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 400)
    files[150].write_text("no picture")
    calm = opened(files, cache).folder
    other = tmp_path / "other"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "set"), str(other)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    progress = [int(count) for count in result.stdout.split()]
    assert len(set(progress)) >= 5, f"too few kills came in the middle: {progress}"
    assert contents(other / "stores" / calm.name) == contents(calm)
    assert not list(other.glob("stores/*.partial"))


def test_a_torn_journal_or_short_pixels_are_cut_back(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 60)
    folder = opened(files, cache).folder
    whole = contents(folder)
    row_bytes = SIZE[0] * SIZE[1] * 3
    lines = whole["rows.jsonl"].splitlines(keepends=True)
    for pixels, journal in (
        (whole["images.npy"][: store.HEAD + 20 * row_bytes], b"".join(lines[:20]) + lines[20][:9]),
        (whole["images.npy"][: store.HEAD + 20 * row_bytes - 1], b"".join(lines[:33])),
        (b"", b"".join(lines[:5])),
    ):
        clear(cache)
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True)
        (partial / "images.npy").write_bytes(pixels)
        (partial / "rows.jsonl").write_bytes(journal)
        assert contents(opened(files, cache).folder) == whole


def test_a_damaged_store_is_built_again(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 10)
    folder = opened(files, cache).folder
    whole = contents(folder)
    os.truncate(folder / "images.npy", len(whole["images.npy"]) - 5)
    assert contents(opened(files, cache).folder) == whole


def test_two_processes_at_once_build_one_store(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 120)
    calm = opened(files, tmp_path / "calm").folder
    script = (
        "import sys; from pathlib import Path; from toolkit.data.store import open_store;"
        "files = sorted(Path(sys.argv[1]).iterdir());"
        "print(open_store(files, [p.name for p in files], (24, 32), 'crop', Path(sys.argv[2]), threads=2).images.sum())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "set"), str(cache)]
    root = Path(__file__).parents[1]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) for _ in range(2)]
    sums = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(sums) == 1
    assert contents(cache / "stores" / calm.name) == contents(calm)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    files = write_pictures(tmp_path / "set", 40)

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "before":
        usage = type("Usage", (), {"free": 1000})()
        monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage)
    else:
        monkeypatch.setattr(store._Builder, "_decode", no_space)
    with pytest.raises(InputError, match=r"(needed|No space left on device)\. Free some space, or .*--cache") as caught:
        opened(files, cache)
    assert "\n" not in str(caught.value)
    assert not [path for path in (cache / "stores").iterdir() if path.is_dir()]


def test_a_write_that_hits_the_limit_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    pytest.importorskip("resource")
    write_pictures(tmp_path / "set", 40)
    script = (
        "import resource, sys; from pathlib import Path; from toolkit.data.store import open_store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "files = sorted(Path(sys.argv[1]).iterdir())\n"
        "try: open_store(files, [p.name for p in files], (24, 32), 'crop', Path(sys.argv[2]), threads=2)\n"
        "except ValueError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "set"), str(cache)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert "File too large. Free some space" in result.stdout
    assert result.stderr == ""
    assert not [path for path in (cache / "stores").iterdir() if path.is_dir()]


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    files = write_pictures(tmp_path / "set", 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Expected to write the decoded images"):
        opened(files, tmp_path / "file")


def test_entries_and_clear(tmp_path: Path, cache: Path) -> None:
    files = write_pictures(tmp_path / "set", 10)
    small, large = opened(files, cache, (8, 8)), opened(files, cache)
    assert [(entry.key, entry.shape) for entry in entries(cache)] == [
        (large.folder.name, (10, *SIZE, 3)),
        (small.folder.name, (10, 8, 8, 3)),
    ]
    assert entries(cache)[0].source == str(tmp_path / "set")
    assert clear(cache, [large.folder.name]) > 10 * SIZE[0] * SIZE[1] * 3
    assert [entry.key for entry in entries(cache)] == [small.folder.name]
    assert clear(cache) > 0
    assert not entries(cache)
    np.testing.assert_array_equal(large.images[0], decode(files[0].read_bytes(), SIZE, "crop").pixels)


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_gathered_rows_are_in_order_and_read_only(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(caching, "IN_MEMORY", limit)
    monkeypatch.setattr(caching, "TASK_BYTES", 5000)
    built = opened(write_pictures(tmp_path / "set"), cache)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(built.images))[:30]
        rows = gathered(built.images, order, built.folder)
        np.testing.assert_array_equal(rows, np.asarray(built.images)[order])
        assert not rows.flags.writeable
        assert isinstance(gathered(built.images, order, built.folder), np.memmap) == (limit == 0)
    assert len(list(built.folder.glob("order-*.npy"))) == (caching.KEPT if limit == 0 else 0)
    assert gathered(built.images, np.arange(3, 9), built.folder).base is not None


def test_results_come_in_order_and_errors_end_the_work() -> None:
    assert list(content.in_order(lambda value: value * 2, range(50), threads=3)) == list(range(0, 100, 2))
    started = []

    def work(value: int) -> int:
        started.append(value)
        if value == 5:
            raise KeyError(value)
        return value

    with pytest.raises(KeyError):
        list(content.in_order(work, range(1000), threads=2))
    assert len(started) < 100
