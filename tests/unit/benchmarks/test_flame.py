"""Folded stacks as a picture: widths are shares, names are safe, and there is nothing but boxes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.flame import ROW, WIDTH, picture

SVG = "{http://www.w3.org/2000/svg}"


def boxes(lines: list[str]) -> dict[str, tuple[float, float, float]]:
    """Title -> left, upper edge and width of each box."""
    root = ET.fromstring(picture(lines))
    found = {}
    for box in root:
        title = box.find(f"{SVG}title")
        assert title is not None
        found[str(title.text)] = (float(box.get("x", "")), float(box.get("y", "")), float(box.get("width", "")))
    return found


def test_boxes_are_as_wide_as_their_samples_and_stand_on_their_callers() -> None:
    found = boxes(["main;work 3", "main;rest 1", "other 4"])
    assert found == {
        "main 50.0%": (0.0, ROW, WIDTH / 2),
        "rest 12.5%": (0.0, 0.0, WIDTH / 8),
        "work 37.5%": (WIDTH / 8, 0.0, WIDTH * 3 / 8),
        "other 50.0%": (WIDTH / 2, ROW, WIDTH / 2),
    }


def test_names_are_text_and_not_markup() -> None:
    assert boxes(['<lambda> (a&b.py:1);"x" 1']).keys() == {"<lambda> (a&b.py:1) 100.0%", '"x" 100.0%'}


def test_what_is_too_narrow_to_see_is_left_out() -> None:
    assert boxes(["main 100000", "rare 1"]).keys() == {"main 100.0%"}


def test_no_samples_are_an_empty_picture() -> None:
    assert boxes([]) == {}
