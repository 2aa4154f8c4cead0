"""What ends a command: one sentence for people, a reason for programs, an exit status for scripts."""

from __future__ import annotations

from typing import Any, Final

EXIT_REFUSED: Final = 1
"""The chain refused it, or a check failed."""
EXIT_USAGE: Final = 2
"""The command line cannot be carried out as it stands."""
EXIT_UNAVAILABLE: Final = 3
"""The node cannot be reached or cannot answer, or a file or disk failed."""


class Failure(Exception):
    """A command ends here. The argument is a sentence that names the remedy where there is one."""

    exit_status = EXIT_REFUSED

    def __init__(self, message: str, *, reason: str, expected: str | None = None, given: str | None = None) -> None:
        """Say what went wrong; `reason` is a stable name in capitals."""
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.expected = expected
        self.given = given

    def as_json(self) -> dict[str, Any]:
        """Return the `error` member of what --json prints."""
        return {"reason": self.reason, "message": self.message, "expected": self.expected, "given": self.given}


class BadArgument(Failure):
    """The command line asks for something that cannot be meant."""

    exit_status = EXIT_USAGE


class Unavailable(Failure):
    """A node or a file that the command needs is not there or does not work."""

    exit_status = EXIT_UNAVAILABLE
