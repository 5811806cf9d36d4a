"""Decoding without chatter: what libraries print about broken files is silenced meanwhile. It decodes nothing."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the decoders and keep OpenCV to the caller's threads. Once around the work: all of it is the process's.

    libtiff and libjpeg write to file descriptor 2, past every switch; Python's own standard error goes on.
    """
    level, threads = cv2.utils.logging.getLogLevel(), cv2.getNumThreads()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings(), _no_native_errors():
            warnings.simplefilter("ignore")
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)
        cv2.setNumThreads(threads)


@contextmanager
def _no_native_errors() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    shown = sys.stderr
    shown.flush()
    with open(os.devnull, "wb") as silence, open(kept, "w", encoding="utf-8", errors="backslashreplace") as python:
        os.dup2(silence.fileno(), 2)
        if _number(shown) == 2:  # not a notebook's or a test's own
            sys.stderr = python
        try:
            yield
        finally:
            python.flush()
            sys.stderr = shown
            os.dup2(kept, 2)


def _number(file: Any) -> int:
    try:
        return int(file.fileno())
    except (AttributeError, OSError, ValueError):
        return -1
