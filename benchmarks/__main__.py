"""All benchmarks in one run: `python -m benchmarks`, or `make bench` and `make bench-quick`.

What is compared runs as near to each other as one order allows, and the yardstick before and after, so that ratios
compare what the same minutes saw. With --only parts run as they are named, also twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from poolchain.version import is_compiled

from . import (
    anvil,
    expiry,
    fairness,
    growth,
    imports,
    latency,
    payments,
    peers_latency,
    peers_transfer,
    proofs,
    settlements,
    start,
    state_tree,
    transfers,
    yardstick,
)
from .checks import Wrong
from .figures import Goal, NotMeasured, Part, Reading, Scale, report, table
from .processes import Strangers

PARTS: Final[Mapping[str, Part]] = {
    "yardstick": yardstick.part,
    "settlement-kinds": settlements.part_kinds,
    "settlement-singles": settlements.part_singles,
    "settlements": settlements.part,
    "anvil": anvil.part,
    "latency": latency.part,
    "transfers": transfers.part,
    "import": imports.part,
    "fairness": fairness.part,
    "expiry": expiry.part,
    "state-tree": state_tree.part,
    "growth": growth.part,
    "proofs": proofs.part,
    "start": start.part,
    "payments": payments.part,
    "peers-latency": peers_latency.part,
    "peers-transfer": peers_transfer.part,
}
"""Name on the command line -> part, in the order in which they run."""
MEASURED_ANEW: Final = ("settlements", "anvil", "import", "fairness", "payments", "peers-latency")
"""Parts before which the yardstick is taken once more: beside them, and beside what came before."""
GOALS: Final[Sequence[Goal]] = (
    *settlements.GOALS,
    *transfers.GOALS,
    *imports.GOALS,
    *latency.GOALS,
    *fairness.GOALS,
    *expiry.GOALS,
    *state_tree.GOALS,
    *growth.GOALS,
    *proofs.GOALS,
    *start.GOALS,
    *payments.GOALS,
    *peers_latency.GOALS,
    *peers_transfer.GOALS,
)
_ROUNDS: Final = 3
_BUSY: Final = 0.06
"""A share of the cores that makes figures worthless; what the kernel does by itself stays below half of it."""


@dataclass(slots=True)
class _Found:
    """What a run has found so far."""

    units: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, list[Reading]]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Part -> why it could not measure something."""
    failed: dict[str, str] = field(default_factory=dict)
    """Part -> what was wrong."""
    others: dict[str, list[float]] = field(default_factory=dict)
    """Part -> each time, the share of the cores that went to programs that are none of ours."""


def main() -> int:
    """Read the options, measure, print the table, write the JSON; return 1 if a part failed."""
    options = _options()
    found = _Found()
    started = time.monotonic()
    with _kept(options) as kept:
        for number in range(options.rounds):
            found.rounds.append({})
            scale = Scale(options.quick, options.seed + number, Path(), kept, options.huge)
            for name in options.only or _order():
                _say(f"round {number + 1} of {options.rounds}, {time.monotonic() - started:.0f} s: {name}")
                _run(name, scale, options.folder, found)
    lines = [*table(found.units, found.rounds, GOALS), *_notes(found)]
    rooms = "compiled" if is_compiled() else "interpreted (make compiled)"
    # The same version takes a tenth longer where it was built without profiles of itself, as pyenv does.
    lines.append(f"Python {sys.version}")
    lines.append(f"rooms {rooms}, seed {options.seed}, {options.rounds} rounds, {time.monotonic() - started:.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json:
        document = report(found.units, found.rounds, GOALS) | {"notMeasured": found.missing, "failed": found.failed}
        document |= {"others": found.others, "python": sys.version, "compiled": is_compiled()}
        document |= {"seed": options.seed, "quick": options.quick}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if found.failed else 0


def _order() -> Iterator[str]:
    """Yield the parts of a whole round."""
    for name in PARTS:
        if name in MEASURED_ANEW:
            yield "yardstick"
        yield name


@contextmanager
def _kept(options: Any) -> Iterator[Path]:
    """Give the folder for what all rounds share; it goes in the end, unless it was asked for by name."""
    if options.kept:
        options.kept.mkdir(parents=True, exist_ok=True)
        yield options.kept
        return
    with tempfile.TemporaryDirectory(prefix="poolchain-bench-", dir=options.folder) as folder:
        yield Path(folder)


def _run(name: str, scale: Scale, parent: Path | None, found: _Found) -> None:
    """Run a part in a folder of its own and keep its samples, also those from before it ended early."""
    strangers = Strangers()
    try:
        with tempfile.TemporaryDirectory(prefix="poolchain-bench-", dir=parent) as folder:
            for sample in PARTS[name](replace(scale, folder=Path(folder))):
                found.units[sample.name] = sample.unit
                found.rounds[-1].setdefault(sample.name, []).append(Reading(time.monotonic(), sample.value))
                _say(f"    {sample.name}: {sample.value:,.3f} {sample.unit}")
    except NotMeasured as reason:
        found.missing[name] = str(reason)
    except (Wrong, OSError, RuntimeError) as error:
        traceback.print_exc()
        found.failed[name] = str(error)
    found.others.setdefault(name, []).append(strangers.share())


def _notes(found: _Found) -> list[str]:
    """Return the lines below the table: what is missing, what was wrong, what was measured on a busy machine."""
    lines = [f"not measured: {name}: {reason}" for name, reason in found.missing.items()]
    lines += [f"FAILED: {name}: {error}" for name, error in found.failed.items()]
    for name, shares in found.others.items():
        if max(shares) > _BUSY:
            each = ", ".join(f"{share:.0%}" for share in shares)
            lines.append(f"BUSY: beside {name}, other programs had {each} of the cores: do not quote it")
    return lines


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the small form of every part")
    parser.add_argument("--rounds", type=int, help=f"default {_ROUNDS}, with --quick 1")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=20487)
    parser.add_argument("--json", type=Path, help="write all values to this file")
    parser.add_argument("--folder", type=Path, help="where data is made: on the disk to be measured")
    parser.add_argument("--kept", type=Path, help="make large chains in this folder, and use those of a former run")
    parser.add_argument("--huge", action="store_true", help="measure at 10^7 state keys, too: some 15 minutes more")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else _ROUNDS)
    return options


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
