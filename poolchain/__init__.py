"""The application: command line, configuration, keys, clock and threads; puts the rooms together."""

from __future__ import annotations

from .import_guard import refuse_strangers

refuse_strangers()
