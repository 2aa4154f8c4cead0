"""What commands that serve web pages' requests take: the page's origin."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_ORIGIN: Final = re.compile(r"https?://[0-9a-z.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?", re.ASCII)


class PageOrigin(click.ParamType[str]):
    """The origin of a web page as a browser spells it."""

    name = "ORIGIN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is."""
        text = str(value)
        if not _ORIGIN.fullmatch(text):
            self.fail(
                "expected scheme, host and port as a browser sends them, such as http://localhost:3000", param, ctx
            )
        return text
