"""All benchmarks in one run: `python -m benchmarks`, or `make bench` and `make bench-quick`.

Every part runs once a round, the yardstick first, so that ratios compare what the same minutes saw.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from . import payments, peers_latency, peers_transfer, yardstick
from .figures import Goal, NotMeasured, Part, Scale, report, table

PARTS: Final[Mapping[str, Part]] = {
    "yardstick": yardstick.part,
    "payments": payments.part,
    "peers-latency": peers_latency.part,
    "peers-transfer": peers_transfer.part,
}
"""Name on the command line -> part, in the order in which they run."""
GOALS: Final[Sequence[Goal]] = (*payments.GOALS, *peers_latency.GOALS, *peers_transfer.GOALS)
_ROUNDS: Final = 3


def main() -> None:
    """Read the options, measure, print the table, write the JSON."""
    options = _options()
    units: dict[str, str] = {}
    rounds: list[dict[str, list[float]]] = []
    missing: dict[str, str] = {}
    started = time.monotonic()
    for number in range(options.rounds):
        rounds.append({})
        for name in options.only or PARTS:
            _say(f"round {number + 1} of {options.rounds}, {time.monotonic() - started:.0f} s: {name}")
            scale = Scale(quick=options.quick, seed=options.seed + number, folder=Path())
            try:
                _run(PARTS[name], scale, options.folder, units, rounds[-1])
            except NotMeasured as reason:
                missing[name] = str(reason)
    lines = table(units, rounds, GOALS)
    lines += [f"not measured: {name}: {reason}" for name, reason in missing.items()]
    lines.append(f"seed {options.seed}, {options.rounds} rounds, {time.monotonic() - started:.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json:
        found = report(units, rounds, GOALS)
        found |= {"notMeasured": missing, "seed": options.seed, "quick": options.quick}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _run(part: Part, scale: Scale, parent: Path | None, units: dict[str, str], found: dict[str, list[float]]) -> None:
    """Run a part in a folder of its own and keep its samples, also those from before a NotMeasured."""
    with tempfile.TemporaryDirectory(prefix="poolchain-bench-", dir=parent) as folder:
        for sample in part(Scale(quick=scale.quick, seed=scale.seed, folder=Path(folder))):
            units[sample.name] = sample.unit
            found.setdefault(sample.name, []).append(sample.value)
            _say(f"    {sample.name}: {sample.value:,.3f} {sample.unit}")


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the small form of every part")
    parser.add_argument("--rounds", type=int, help=f"default {_ROUNDS}, with --quick 1")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=20487)
    parser.add_argument("--json", type=Path, help="write all values to this file")
    parser.add_argument("--folder", type=Path, help="where data is made: on the disk to be measured")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else _ROUNDS)
    return options


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
