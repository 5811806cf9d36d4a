"""Steps that several features share, on batches in keras.ops: grey levels, counts a cell. It knows no feature."""

from typing import Any

from keras import ops

FEW_BINS = 64  # up to which one comparison a bin costs less than one scattered addition a pixel


def grey(pixels: Any) -> Any:
    """(B, H, W, C) -> (B, H, W); the whole-numbered weights keep every step exact in float32."""
    if pixels.shape[3] == 1:
        return pixels[..., 0]
    if pixels.shape[3] != 3:
        raise ValueError(f"Expected images with 1 or 3 channels. Received: {pixels.shape[3]}.")
    weighted = pixels[..., 0] * 19595.0 + pixels[..., 1] * 38470.0 + pixels[..., 2] * 7471.0
    return ops.floor((weighted + 32768.0) / 65536.0)


def cell_counts(codes: Any, bins: int, grid: tuple[int, int], cell: tuple[int, int]) -> Any:
    """Codes int32 (B, H, W), 0..bins-1 -> how often each stands in each cell, float32 (B, rows, columns, bins).

    `grid` is (rows, columns), `cell` its height and width in pixels; pixels beyond the last whole cell are left out.
    """
    return (_compared if bins <= FEW_BINS else scattered_counts)(codes, bins, grid, cell)


def _compared(codes: Any, bins: int, grid: tuple[int, int], cell: tuple[int, int]) -> Any:
    """int32 (B, H, W) -> float32 (B, grid rows, grid columns, bins); down first, which is what vectorises."""
    rows, columns = grid
    height, width = cell
    codes = codes[:, : rows * height, : columns * width]
    counts = []
    for bin_ in range(bins):
        hits = ops.reshape(ops.cast(ops.equal(codes, bin_), "int32"), (-1, rows, height, columns * width))
        strips = ops.reshape(ops.sum(hits, axis=2), (-1, rows, columns, width))
        counts.append(ops.sum(strips, axis=3))
    return ops.cast(ops.stack(counts, axis=-1), "float32")


def scattered_counts(codes: Any, bins: int, grid: tuple[int, int], cell: tuple[int, int]) -> Any:
    """As `cell_counts`, for many bins: one addition a pixel instead of one comparison a bin."""
    rows, columns = grid
    height, width = cell
    codes = ops.reshape(codes[:, : rows * height, : columns * width], (-1, rows, height, columns, width))
    codes = ops.reshape(ops.transpose(codes, (0, 1, 3, 2, 4)), (-1, height * width))
    cells = ops.shape(codes)[0]
    places = ops.reshape(codes + bins * ops.expand_dims(ops.arange(cells, dtype="int32"), 1), (-1,))
    counts = ops.segment_sum(ops.ones_like(places, dtype="float32"), places, num_segments=cells * bins)
    return ops.reshape(counts, (-1, rows, columns, bins))
