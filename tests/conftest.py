"""What every test shares: a cache folder of the session's own, so that none sees another's images; a core a worker."""

import os
import tempfile

from hypothesis import HealthCheck, settings

CACHE = tempfile.TemporaryDirectory(prefix="touchstone-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name  # subprocesses inherit it

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: threads of several would only wait for one another
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

# no test asserts a time, so that none fails on a machine that is busy
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
