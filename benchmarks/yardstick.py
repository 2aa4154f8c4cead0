"""The yardstick: how many signers libsecp256k1 recovers in a second, through coincurve, on one core and on all.

A settlement has two signatures, so half of what all cores recover is the limit L of settlements a second. It is the
best of several windows: whatever else runs meanwhile only takes away from it, and a limit that is too low flatters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from typing import Final

import coincurve

from .figures import Sample, Scale

ONE_CORE: Final = "recoveries on one core"
ALL_CORES: Final = "recoveries on all cores"
LIMIT: Final = "L, half of the recoveries on all cores"
_WINDOWS: Final = 4
_SECONDS: Final = 0.8
_SECONDS_QUICK: Final = 0.2


def part(scale: Scale) -> Iterator[Sample]:
    """Measure this round's recoveries."""
    seconds = _SECONDS_QUICK if scale.quick else _SECONDS
    yield Sample(ONE_CORE, "per second", max(recoveries(seconds) for _ in range(_WINDOWS)))
    rate = recoveries_on_all_cores(seconds)
    yield Sample(ALL_CORES, "per second", rate)
    yield Sample(LIMIT, "settlements per second", rate / 2)


def recoveries_on_all_cores(seconds: float) -> float:
    """Return the recoveries a second of one process for every core, at the same time, in the best window."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(recoveries, [0.01] * cores))  # all are started
        return max(sum(pool.map(recoveries, [seconds] * cores)) for _ in range(_WINDOWS))


def recoveries(seconds: float) -> float:
    """Return the recoveries a second of this thread: from digest and signature to the address's public key."""
    digest = sha256(b"digest").digest()
    signature = coincurve.PrivateKey(digest).sign_recoverable(digest, hasher=None)
    start = time.perf_counter()
    done = 0
    while (now := time.perf_counter()) - start < seconds:
        for _ in range(100):
            coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None).format(compressed=False)
        done += 100
    return done / (now - start)
