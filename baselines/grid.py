"""Where cells and blocks lie on an image: arithmetic of shapes. It knows no pixel and no Keras."""

from typing import NamedTuple


class HOGGrid(NamedTuple):
    """Cells and blocks along (rows, columns)."""

    cells: tuple[int, int]
    blocks: tuple[int, int]


def pair(name: str, value: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """Two positive integers (rows, columns), given as a pair or as one number for both."""
    rows, columns = (value, value) if isinstance(value, int) else value
    if int(rows) != rows or int(columns) != columns or min(rows, columns) < 1:
        raise ValueError(f"Expected {name} as one or two positive integers. Received: {value}.")
    return int(rows), int(columns)


def hog_grid(
    height: int, width: int, pixels_per_cell: tuple[int, int], cells_per_block: tuple[int, int], padding: int = 0
) -> HOGGrid:
    """Count HOG's cells and blocks on an image of (height, width) pixels; a ValueError when not one block fits."""
    sides = (height + 2 * padding, width + 2 * padding)
    cells = (sides[0] // pixels_per_cell[0], sides[1] // pixels_per_cell[1])
    blocks = (cells[0] - cells_per_block[0] + 1, cells[1] - cells_per_block[1] + 1)
    if min(blocks) < 1:
        rows, columns = (p * c - 2 * padding for p, c in zip(pixels_per_cell, cells_per_block, strict=True))
        raise ValueError(
            f"Expected images of at least {rows} x {columns} pixels for one HOG block of "
            f"{cells_per_block[0]} x {cells_per_block[1]} cells of {pixels_per_cell[0]} x {pixels_per_cell[1]} pixels. "
            f"Received: {height} x {width}. Enlarge the images or choose smaller cells."
        )
    return HOGGrid(cells, blocks)


def hog_grids(
    height: int,
    width: int,
    pixels_per_cell: tuple[int, int],
    cells_per_block: tuple[int, int],
    padding: int = 0,
    levels: int = 1,
) -> list[HOGGrid]:
    """`hog_grid` of cells that double from level to level; a level too coarse for a block is left out, but the first.

    A pixel beyond the last whole cell of a level is in none of the next either.
    """
    grids = [hog_grid(height, width, pixels_per_cell, cells_per_block, padding)]
    while len(grids) < levels:
        cells = (grids[-1].cells[0] // 2, grids[-1].cells[1] // 2)
        blocks = (cells[0] - cells_per_block[0] + 1, cells[1] - cells_per_block[1] + 1)
        if min(blocks) < 1:
            break
        grids.append(HOGGrid(cells, blocks))
    return grids


def grid_cell(height: int, width: int, grid: tuple[int, int], feature: str = "LBP") -> tuple[int, int]:
    """Height and width in pixels of one cell of a feature's grid; a ValueError when it is finer than the image."""
    cell = (height // grid[0], width // grid[1])
    if min(cell) < 1:
        raise ValueError(
            f"Expected images of at least {grid[0]} x {grid[1]} pixels, one a cell of the {feature} grid. "
            f"Received: {height} x {width}. Enlarge the images or choose a coarser grid."
        )
    return cell


def glcm_cell(height: int, width: int, grid: tuple[int, int], farthest: int) -> tuple[int, int]:
    """Height and width in pixels of one cell; a ValueError when it has no pixels `farthest` apart both ways."""
    cell = grid_cell(height, width, grid, "GLCM")
    if min(cell) <= farthest:
        raise ValueError(
            f"Expected images of at least {(farthest + 1) * grid[0]} x {(farthest + 1) * grid[1]} pixels for pairs of "
            f"pixels {farthest} apart in each cell of the GLCM grid. Received: {height} x {width}. "
            "Enlarge the images, or choose smaller distances or a coarser grid."
        )
    return cell


def opencv_blocks(height: int, width: int, block: tuple[int, int], step: tuple[int, int]) -> tuple[int, int]:
    """Count the blocks (down, across) of OpenCV's HOG on an image; a ValueError when not one fits."""
    if height < block[0] or width < block[1]:
        raise ValueError(
            f"Expected images of at least {block[0]} x {block[1]} pixels, one HOG block. Received: {height} x {width}. "
            "Enlarge the images or choose smaller blocks."
        )
    return (height - block[0]) // step[0] + 1, (width - block[1]) // step[1] + 1
