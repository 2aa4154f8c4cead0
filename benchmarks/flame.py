"""Draws folded stacks as a flame graph: a still picture, without scripts.

    py-spy record --pid PID --duration 10 --format raw --output stacks.txt
    python -m benchmarks.flame stacks.txt docs/profile.svg

A line of folded stacks is "outer;inner;innermost COUNT". Frames with the same way to them are one box, as wide as the
samples in it; boxes stand in the order of their names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 1600
ROW: Final = 17
_CHARACTER: Final = 6.3
_NARROWEST: Final = 0.6


@dataclass(slots=True)
class Frame:
    """One function with one way to it."""

    samples: int = 0
    below: dict[str, Frame] = field(default_factory=dict)


def main() -> None:
    """Read the file of stacks named first, write the picture named second."""
    source, target = map(Path, sys.argv[1:])
    target.write_text(picture(source.read_text().splitlines()))


def picture(lines: Iterable[str]) -> str:
    """Return the SVG of folded stacks."""
    root = Frame()
    for line in lines:
        stack, count = line.rsplit(" ", 1)
        frame = root
        frame.samples += int(count)
        for name in stack.split(";"):
            frame = frame.below.setdefault(name, Frame())
            frame.samples += int(count)
    boxes = list(_boxes(root, 0, 0.0, WIDTH / max(root.samples, 1), root.samples))
    height = (1 + max((row for row, _ in boxes), default=0)) * ROW
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace">\n'
    return head + "".join(text.replace("@Y", str(height - (row + 1) * ROW)) for row, text in boxes) + "</svg>\n"


def _boxes(frame: Frame, row: int, left: float, scale: float, total: int) -> Iterator[tuple[int, str]]:
    """Yield (row from below, box whose upper edge is still @Y) of all frames above `frame`."""
    for name, inner in sorted(frame.below.items()):
        width = inner.samples * scale
        if width >= _NARROWEST:
            yield row, _box(name, inner.samples / total, left, width)
            yield from _boxes(inner, row + 1, left, scale, total)
        left += width


def _box(name: str, share: float, left: float, width: float) -> str:
    shade = sha256(name.encode()).digest()
    color = f"rgb({225 + shade[0] % 30},{120 + shade[1] % 110},{60 + shade[2] % 50})"
    text = escape(name[: max(0, int((width - 4) / _CHARACTER))])
    return (
        f'<svg x="{left:.1f}" y="@Y" width="{width:.1f}" height="{ROW - 1}"><title>{escape(name)} {share:.1%}</title>'
        f'<rect width="100%" height="100%" fill="{color}"/><text x="2" y="12" font-size="10.5">{text}</text></svg>\n'
    )


if __name__ == "__main__":
    main()
