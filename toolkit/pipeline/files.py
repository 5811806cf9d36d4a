"""Images that stay in their files: decoded when a batch asks for them, with nothing kept. It knows no file format."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError


class FileImages:
    """Stands where an array (N, H, W, C) could stand, for sets that are larger than any disk cache.

    `decode(path)` gives uint8 (H, W, C) of `image_shape`; a file that gives another shape, or none, is named.
    """

    def __init__(
        self,
        paths: Sequence[str],
        decode: Callable[[str], NDArray[np.uint8]],
        image_shape: tuple[int, int, int],
        threads: int = 2,
    ) -> None:
        self.paths, self.decode, self.image_shape, self.threads = list(paths), decode, tuple(image_shape), threads

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return (len(self.paths), *self.image_shape)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        """uint8 (B, H, W, C) for rows (B,), in the order asked."""
        chosen = [self.paths[row] for row in np.asarray(rows)]
        result = np.empty((len(chosen), *self.image_shape), np.uint8)
        for row, image in enumerate(self._pool.map(self._read, chosen)):
            result[row] = image
        return result

    def _read(self, path: str) -> NDArray[np.uint8]:
        try:
            image = self.decode(path)
        except OSError as error:
            raise InputError(f"Expected to read {path}. Received: {error}.") from error
        if image.shape != self.image_shape or image.dtype != np.uint8:
            raise InputError(f"Expected uint8 {self.image_shape} from {path}. Received: {image.dtype} {image.shape}.")
        return image

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="decode")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_pool"}
