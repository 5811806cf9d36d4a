"""What every test shares: a cache folder of the session's own, so that none sees another session's decoded images."""

import os
import tempfile

CACHE = tempfile.TemporaryDirectory(prefix="touchstone-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name  # subprocesses inherit it
