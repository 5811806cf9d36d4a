"""Files that break decoders: each becomes the right picture or is refused with a reason, quietly, in little memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from toolkit.data import load
from toolkit.data.decode import Unreadable, decode, quiet
from toolkit.data.listing import SUFFIXES
from toolkit.errors import InputError

TEST_DATA = os.environ.get("TOUCHSTONE_TEST_DATA")
pytestmark = pytest.mark.skipif(not TEST_DATA, reason="TOUCHSTONE_TEST_DATA names no folder of test images")
HOSTILE = Path(TEST_DATA or ".") / "hostile"
FILES = sorted(path for path in HOSTILE.rglob("*") if path.is_file()) if TEST_DATA else []
# What Pillow clips or cannot judge, and so is scaled or refused here: see `toolkit.data.decode`.
DEEP = {"hopper_16bit.pgm", "16bit.s.tif"}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(HOSTILE).as_posix() for path in paths]


def picture(path: Path) -> NDArray[np.uint8] | None:
    with quiet():
        try:
            return decode(path.read_bytes()).pixels
        except Unreadable:
            return None


def converted(path: Path) -> NDArray[np.uint8] | None:
    """Pillow's own conversion, or nothing where it gives up."""
    with quiet():
        try:
            with Image.open(path) as image:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except Exception:
            return None


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_each_file_is_what_pillow_converts_it_to_or_is_refused_with_a_reason(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = converted(path)
    with quiet():
        try:
            pixels = decode(path.read_bytes()).pixels
        except Unreadable as error:
            pixels, reason = None, str(error)
        else:
            reason = ""
    if pixels is None:
        assert 5 < len(reason) < 300
        assert "\n" not in reason
        limited = "more than the" in reason or "would come out" in reason or "no agreed" in reason
        assert expected is None or limited, "Pillow reads it"
    else:
        assert expected is not None, "Pillow gives up on it"
        assert pixels.shape[:2] == expected.shape[:2]
        if path.name not in DEEP:
            np.testing.assert_array_equal(np.broadcast_to(pixels, expected.shape), expected)
        assert pixels.any() or not expected.any(), "a silent black image"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_the_seven_orientations_of_one_photograph_agree(suffix: str) -> None:
    pictures = [picture(HOSTILE / "exif" / f"hopper_orientation_{number}.{suffix}") for number in range(2, 9)]
    for other in pictures[1:]:
        assert pictures[0] is not None
        assert other is not None
        assert other.shape == pictures[0].shape
        assert abs(other.astype(int) - pictures[0]).mean() < 6  # each was compressed on its own


def test_the_same_photograph_in_every_format_looks_the_same() -> None:
    reference = picture(HOSTILE / "other_format" / "hopper.png")
    assert reference is not None
    others = [
        "other_format/hopper.bmp",
        "other_format/hopper.ppm",
        "other_format/hopper.tif",
        "other_format/hopper.jpg",
    ]
    others += ["other_format/hopper.webp", "other_format/hopper.avif", "cmyk_lab/hopper.Lab.tif", "animated/hopper.gif"]
    for name in others:
        other = picture(HOSTILE / name)
        assert other is not None
        assert abs(other.astype(int) - reference).mean() < 8, name  # lossy, or of few colours
    deep = picture(HOSTILE / "depth16_float" / "hopper_16bit.pgm")
    assert deep is not None
    grey = np.asarray(Image.fromarray(reference).convert("L"))
    assert abs(deep[:, :, 0].astype(int) - grey).mean() < 1


def mixed_set(root: Path) -> None:
    """All hostile files in one class, thirty real photographs in each of two others."""
    root.mkdir()
    (root / "hostile").symlink_to(HOSTILE, target_is_directory=True)
    for name in ("daisy", "rose"):
        (root / name).mkdir()
        for path in sorted((HOSTILE.parent / "flowers5" / name).iterdir())[:30]:
            (root / name / path.name).symlink_to(path)


def test_mixed_into_real_ones_every_file_is_accounted_for(tmp_path: Path) -> None:
    root, cache = tmp_path / "set", tmp_path / "cache"
    mixed_set(root)
    with pytest.raises(InputError, match=r"Cannot read 'hostile/alpha/hopper_naxis_zero.fits': .* \(and \d+ more\)"):
        load(root, 32, cache=cache)
    dataset = load(root, 32, skip_bad=True, cache=cache)
    kept = {name for split in (dataset.train, dataset.validation, dataset.test) for name in split.names.tolist()}
    left = dict(dataset.manifest.left_out)
    foreign = {
        f"hostile/{name}" for path, name in zip(FILES, names(FILES), strict=True) if path.suffix.lower() not in SUFFIXES
    }
    assert kept | left.keys() | foreign >= {f"hostile/{name}" for name in names(FILES)}
    assert sum(dataset.manifest.passed_over.values()) == len(foreign)
    assert all(name.startswith("hostile/") and reason for name, reason in left.items())
    assert len(kept) == 60 + len(FILES) - len(left) - len(foreign)


def test_bombs_take_little_memory_and_say_little(tmp_path: Path) -> None:
    mixed_set(tmp_path / "set")
    script = (
        "import re, sys; from pathlib import Path; from toolkit.data import load\n"
        "load(sys.argv[1], 32, skip_bad=True, cache=sys.argv[2])\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"  # its own, not its parent's
    )
    command = [sys.executable, "-W", "always", "-c", script, str(tmp_path / "set"), str(tmp_path / "cache")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert int(result.stdout) < 1_000_000  # kilobytes
    assert result.stderr == ""
