"""Decoding: the right pixels whatever the file, the right way up, at the right size, or a reason."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage import data

from toolkit.data import decode as decoding
from toolkit.data.decode import Unreadable, decode, quiet, read_header, resize


def photograph(height: int = 60, width: int = 80) -> Image.Image:
    return Image.fromarray(data.astronaut()[100 : 100 + height, 180 : 180 + width])


def packed(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


MODES = {  # what Pillow can write
    "PNG": "1 L LA P RGB RGBA",
    "JPEG": "1 L RGB CMYK YCbCr",
    "TIFF": "1 L LA P RGB RGBA CMYK YCbCr LAB",
    "WEBP": "L RGB RGBA",
    "BMP": "1 L P RGB RGBA",
    "GIF": "1 L P RGB RGBA",
    "PPM": "1 L RGB RGBA",
    "AVIF": "L RGB RGBA",
}


@pytest.mark.parametrize(
    ("file_format", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes.split()]
)
def test_any_mode_becomes_what_pillow_converts_it_to(file_format: str, mode: str) -> None:
    image = photograph()
    if mode.endswith("A"):
        image.putalpha(image.convert("L"))
    image = Image.frombytes("LAB", image.size, image.tobytes()) if mode == "LAB" else image.convert(mode)
    content = packed(image, file_format)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    pixels = decode(content).pixels
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(np.broadcast_to(pixels, expected.shape), expected)


def test_grey_files_have_one_channel_and_colour_files_three() -> None:
    assert decode(packed(photograph().convert("L"), "JPEG")).pixels.shape == (60, 80, 1)
    assert decode(packed(photograph().convert("1"), "PNG")).pixels.shape == (60, 80, 1)
    assert decode(packed(photograph(), "PNG")).pixels.shape == (60, 80, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_undone_as_pillow_undoes_it(orientation: int, file_format: str) -> None:
    exif = Image.Exif()
    exif[decoding.ORIENTATION_TAG] = orientation
    content = packed(photograph(), file_format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    np.testing.assert_array_equal(decode(content).pixels, expected)
    assert (read_header(content).height, read_header(content).width) == expected.shape[:2]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(file_format: str) -> None:
    grey = np.asarray(photograph().convert("L"))
    content = packed(Image.fromarray(grey.astype(np.uint16) * 257), file_format)
    np.testing.assert_array_equal(decode(content).pixels[:, :, 0], grey)


def test_deep_pictures_that_would_come_out_black_are_refused() -> None:
    narrow = (np.arange(4800, dtype=np.uint16).reshape(60, 80) % 400) + 100
    with pytest.raises(Unreadable, match="values from 100 to 499 of 65535"):
        decode(packed(Image.fromarray(narrow), "PNG"))
    with pytest.raises(Unreadable, match="no agreed black and white"):
        decode(packed(Image.fromarray(np.linspace(-3, 3, 4800, dtype=np.float32).reshape(60, 80)), "TIFF"))
    unit = np.linspace(0, 1, 4800, dtype=np.float32).reshape(60, 80)
    np.testing.assert_array_equal(decode(packed(Image.fromarray(unit), "TIFF")).pixels[:, :, 0], np.rint(unit * 255))


def test_a_picture_drawn_in_alpha_alone_is_seen() -> None:
    alpha = np.asarray(photograph().convert("L"))
    black = Image.fromarray(np.dstack([np.zeros((60, 80, 3), np.uint8), alpha]))
    np.testing.assert_allclose(decode(packed(black, "PNG")).pixels[:, :, 0], 255.0 - alpha, atol=1)  # rounding


def test_bombs_are_refused_by_their_header(monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(photograph(), "PNG")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 4799)
    monkeypatch.setattr(decoding, "_decode_other", lambda *_: pytest.fail("decoded"))
    with pytest.raises(Unreadable, match="80 x 60 pixels, more than the 4,799 allowed"):
        decode(content)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM"])
@settings(max_examples=25)
@given(st.data())
def test_cut_and_scrambled_files_give_a_picture_or_a_reason(file_format: str, choice: st.DataObject) -> None:
    content = bytearray(packed(photograph(), file_format))
    del content[choice.draw(st.integers(0, len(content))) :]
    for _ in range(choice.draw(st.integers(0, 4)) if content else 0):
        content[choice.draw(st.integers(0, len(content) - 1))] = choice.draw(st.integers(0, 255))
    with quiet():
        try:
            decoded = decode(bytes(content), (16, 24))
        except Unreadable as error:
            reason = str(error)
        else:
            reason = "none"
            assert decoded.pixels.shape in ((16, 24, 1), (16, 24, 3))
    assert reason
    assert "\n" not in reason


def test_a_cut_jpeg_is_refused_rather_than_filled_with_grey() -> None:
    content = packed(photograph(), "JPEG")
    with pytest.raises(Unreadable, match="truncated"):
        decode(content[: len(content) // 2])


def test_text_and_nothing_are_no_images() -> None:
    with pytest.raises(Unreadable, match=r"no image by its content \(it starts with b'hello"):
        decode(b"hello, I am a text")
    with pytest.raises(Unreadable, match="empty"):
        decode(b"")


@pytest.mark.parametrize("size", [(1200, 900), (400, 700)])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_large_jpegs_decoded_small_look_as_if_decoded_whole(size: tuple[int, int], fit: decoding.Fit) -> None:
    content = packed(Image.fromarray(data.astronaut()).resize(size, Image.Resampling.LANCZOS), "JPEG", quality=90)
    whole = resize(decode(content).pixels, (64, 48), fit).astype(int)
    small = decode(content, (64, 48), fit).pixels.astype(int)
    moved = resize(decode(content).pixels[:, min(size) // 64 :], (64, 48), fit).astype(int)
    assert abs(whole - small).mean() < max(3.0, 0.8 * abs(whole - moved).mean())  # a crop may move by a part of a pixel


@given(st.tuples(*[st.integers(1, 40)] * 4), st.sampled_from(decoding.FITS), st.sampled_from([1, 3]))
def test_resize_gives_the_size_and_keeps_a_constant(sizes: tuple[int, ...], fit: decoding.Fit, channels: int) -> None:
    height, width, target_height, target_width = sizes
    resized = resize(np.full((height, width, channels), 77, np.uint8), (target_height, target_width), fit)
    assert resized.shape == (target_height, target_width, channels)
    assert set(np.unique(resized)) <= ({77} if fit != "pad" else {0, 77})
    assert 77 in resized


def test_resize_crop_takes_the_middle_and_pad_keeps_all() -> None:
    columns = np.repeat(np.arange(9, dtype=np.uint8)[None, :] * 20, 3, axis=0)[:, :, None]  # (3, 9, 1)
    np.testing.assert_array_equal(resize(columns, (3, 3), "crop")[0, :, 0], [60, 80, 100])
    padded = resize(columns, (9, 9), "pad")
    np.testing.assert_array_equal(padded[3:6], columns)
    assert not padded[:3].any()
    assert not padded[6:].any()


def test_shrinking_one_axis_and_growing_the_other_does_not_alias() -> None:
    stripes: NDArray[np.uint8] = np.tile(np.array([0, 255], np.uint8), (4, 32))[:, :, None]  # (4, 64, 1)
    assert set(np.unique(resize(stripes, (8, 16), "squash"))) <= {127, 128}
