"""Where a thread that executes a block lets others run.

Compiled code never gives up the interpreter's lock by itself: without this a block of 4,000 settlements would keep all
readers waiting for a tenth of a second. This module stays interpreted; a call costs 50 ns.
"""

from __future__ import annotations


def give_way() -> None:
    """Let a thread that has waited for the interpreter's lock long enough have it; else do nothing.

    The interpreter looks whether one has at the start of every function that is not compiled, such as this one.
    """
