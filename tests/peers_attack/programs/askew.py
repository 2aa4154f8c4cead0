"""An honest program whose clock is wrong: `main([seconds, module, *arguments])` runs `module.main(arguments)`.

Unix time is that many seconds ahead; what measures how long something takes is not.
"""

from __future__ import annotations

import importlib
import time


def main(arguments: list[str]) -> int:
    seconds, module, *rest = arguments
    real = time.time
    time.time = lambda: real() + float(seconds)
    status: int = importlib.import_module(module).main(rest)
    return status
