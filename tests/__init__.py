"""Tests: unit tests mirror the rooms, everything else looks at the node from outside."""
