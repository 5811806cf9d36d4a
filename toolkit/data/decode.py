"""One image file's bytes to uint8 pixels: right way up, RGB or grey, brought to size, or refused with the reason.

Pillow reads every header and judges the file; plain JPEGs are then decoded by OpenCV (the same libjpeg-turbo, the same
pixels, less copying). It knows no folder, no label and no cache.

Shades follow Pillow's own `convert("RGB")`: alpha is dropped, CMYK, palettes and LAB are converted. But 16-bit grey,
which Pillow clips at 255, is scaled to 0..255 by the depth that the file declares. Colour profiles are not applied. Of
an animation or of pages the first counts.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from toolkit.data.quiet import quiet as quiet
from toolkit.errors import InputError

Pixels = NDArray[np.uint8]
Fit = Literal["crop", "pad", "squash"]
FITS = ("crop", "pad", "squash")
MAX_PIXELS = 100_000_000  # checked in the header, before any decoding: 100 megapixels are 300 MB as RGB
ORIENTATION_TAG = 274
PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
ALIKE = 1.05  # shrinking by less, the linear filter is the area filter to 0.2 of 255 on average, in a fifth of the time
REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
# What Pillow opens by running another program or by drawing, or what holds no pixels of its own.
REFUSED_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded. Width and height are those of the picture the right way up."""

    format: str  # Pillow's name: "JPEG", "PNG", ...
    mode: str  # Pillow's mode: "RGB", "L", "CMYK", "I;16", ...
    width: int
    height: int
    orientation: int  # EXIF, 1 to 8


@dataclass(frozen=True)
class Decoded:
    """A picture and what its file said."""

    pixels: Pixels  # (H, W, 1 or 3)
    header: Header


class Unreadable(InputError):
    """Why these bytes are no picture; the caller knows the file's name."""


def read_header(data: bytes) -> Header:
    """The header of a file's bytes, or `Unreadable`. No pixel is decoded."""
    return _open(data)[1]


def decode(data: bytes, image_size: tuple[int, int] | None = None, fit: Fit = "crop") -> Decoded:
    """A file's bytes -> uint8 (height, width, C), C 1 if the file is grey and 3 if not; `Unreadable` with the reason.

    `image_size` is (height, width); `fit` says how a picture of other proportions gets there (see `resize`).
    """
    image, header = _open(data)
    with _reasons():
        if (
            header.format in ("JPEG", "MPO")
            and header.mode in ("L", "RGB")
            and data.rstrip(b"\0").endswith(b"\xff\xd9")
        ):
            pixels = _decode_jpeg(data, header, _reduction(header, image_size, fit))
        else:
            pixels = _decode_other(image, header)
        pixels = _upright(pixels, header.orientation)
    return Decoded(pixels if image_size is None else resize(pixels, image_size, fit), header)


def resize(pixels: Pixels, image_size: tuple[int, int], fit: Fit = "crop") -> Pixels:
    """uint8 (h, w, C) -> (height, width, C): averaged over areas where it shrinks, linear where it grows.

    `crop` keeps the proportions and cuts what sticks out, evenly on both sides; `pad` keeps them and fills up with
    black; `squash` does not keep them.
    """
    height, width = image_size
    h, w = pixels.shape[:2]
    if (h, w) == (height, width):
        return pixels
    if fit == "squash":
        return _scale(pixels, height, width)
    if fit == "crop":  # cut in the source's pixels, then scale what stays: nothing is computed to be thrown away
        keep_h, keep_w = max(1, min(h, round(w * height / width))), max(1, min(w, round(h * width / height)))
        top, left = (h - keep_h) // 2, (w - keep_w) // 2
        return _scale(pixels[top : top + keep_h, left : left + keep_w], height, width)
    scale = min(height / h, width / w)
    inner = _scale(pixels, min(height, max(1, round(h * scale))), min(width, max(1, round(w * scale))))
    padded = np.zeros((height, width, pixels.shape[2]), np.uint8)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return padded


def _scale(pixels: Pixels, height: int, width: int) -> Pixels:
    h, w, channels = pixels.shape
    if height < h or width < w:  # each axis by its own filter: OpenCV would take the linear one for both if one grows
        nearly = h <= height * ALIKE and w <= width * ALIKE
        smaller = (min(width, w), min(height, h))
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_LINEAR if nearly else cv2.INTER_AREA)
    if height > h or width > w:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels).reshape(height, width, channels)


def _open(data: bytes) -> tuple[ImageFile.ImageFile, Header]:
    if not data:
        raise Unreadable("the file is empty")
    with _reasons():
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            raise Unreadable(f"no image by its content (it starts with {data[:12]!r})") from None
        name = str(image.format)
        if name in REFUSED_FORMATS:
            raise Unreadable(f"a {name} file, which holds no plain pixels")
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise Unreadable(f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed")
        orientation = _orientation(image, data)
    if orientation >= 5:
        width, height = height, width
    return image, Header(name, image.mode, width, height, orientation)


@contextmanager
def _reasons() -> Iterator[None]:
    """What decoders raise on bad bytes, as `Unreadable`: they are many libraries without a common exception."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable(str(error).split(", could be")[0]) from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        KeyError,
        IndexError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise Unreadable(f"{' '.join(str(error).split()) or type(error).__name__}") from error
    except (EOFError, struct.error, zlib.error, cv2.error) as error:
        raise Unreadable(f"broken data ({' '.join(str(error).split()) or type(error).__name__})") from error


def _orientation(image: ImageFile.ImageFile, data: bytes) -> int:
    if image.format == "PNG":  # may say it after its pixels: they are read first, but only if something is said
        if not any(mark in data for mark in PNG_EXIF):
            return 1
        image.load()
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF is no reason to refuse the pixels, and its parser raises many kinds
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reduction(header: Header, image_size: tuple[int, int] | None, fit: Fit) -> int:
    """By how much libjpeg may shrink while decoding, 1 to 8: at least 1.5 times the target stays for the area filter.

    Of 640 x 480 on the way to 128, that moves a level by half of what JPEG's own loss does, at 0.6 of the time. A crop
    begins at a whole pixel of what was decoded, so it may lie off by up to a third of a pixel of the target.
    """
    if image_size is None:
        return 1
    ratios = (header.height / image_size[0], header.width / image_size[1])
    ratio = max(ratios) if fit == "pad" else min(ratios)
    return next((factor for factor in (8, 4, 2) if ratio >= 1.5 * factor), 1)


def _decode_jpeg(data: bytes, header: Header, reduction: int) -> Pixels:
    colour = cv2.IMREAD_GRAYSCALE if header.mode == "L" else cv2.IMREAD_COLOR_RGB
    flags = REDUCED[reduction] | colour | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise Unreadable("broken JPEG data")
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _decode_other(image: ImageFile.ImageFile, header: Header) -> Pixels:
    image.load()
    if image.width * image.height > MAX_PIXELS:  # a few formats learn their true size only here
        raise Unreadable(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} allowed")
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_deep(np.asarray(image), image)[:, :, None]
    if "A" in image.getbands() or "transparency" in image.info:
        return _without_alpha(image)
    grey = image.mode in ("1", "L")
    return np.asarray(image.convert("L"))[:, :, None] if grey else np.asarray(image.convert("RGB"))


def _without_alpha(image: Image.Image) -> Pixels:
    """Alpha dropped, as Pillow does; but a picture that is drawn in alpha alone is shown on white, or it were black."""
    values = np.asarray(image.convert("RGBA"))
    colours, alpha = values[:, :, :3], values[:, :, 3:]
    if (colours == colours[0, 0]).all() and alpha.min() < alpha.max():
        opacity = alpha / np.float32(255)
        colours = np.rint(colours * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return colours[:, :, :1] if image.mode in ("1", "L", "LA", "La") else colours


def _from_deep(values: NDArray[np.generic], image: ImageFile.ImageFile) -> Pixels:
    """Grey of more than 8 bits to 0..255 by the white that the file declares; refused if nothing would be seen."""
    low, high = float(values.min()), float(values.max())
    white = _white(image)
    if white is None or not (0 <= low <= high <= white):  # not: NaN compares as false
        raise Unreadable(
            f"{values.dtype} values from {low:g} to {high:g} have no agreed black and white; save it with 8 or 16 bits"
        )
    if high > low and (high - low) * 255 / white < 8:
        raise Unreadable(
            f"values from {low:g} to {high:g} of {white:g} would come out as one shade; stretch them to 8 bits"
        )
    return np.rint(values.astype(np.float64) * (255 / white)).astype(np.uint8)


def _white(image: ImageFile.ImageFile) -> float | None:
    """The largest value that the file's format can hold, where it says so."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        bits, kind = int(tags.get(258, (1,))[0]), int(tags.get(339, (1,))[0])  # BitsPerSample, SampleFormat
        if kind == 3:
            return 1.0
        return float(2 ** (bits - (kind == 2)) - 1) if bits <= 16 else None
    return 65535.0 if image.format in ("PNG", "PPM", "JPEG2000", "SGI") else None


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo what EXIF's orientation (1 to 8) says was done to the picture."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)  # 5 is done
    if orientation in (2, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation == 3:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
