"""The WebSocket that an HTTP connection becomes: uvicorn's, held to the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .http_limits import StallWatch

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from .http_limits import HttpLimits
    from .http_reader import Head


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, cut off when its peer does not read."""

    is_lingering = False

    def __init__(self, *, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        """Take what uvicorn hands to every protocol."""
        super().__init__(config=config, server_state=server_state, app_state=app_state)
        self._stall_watch = StallWatch()

    def begin(self, transport: Any, head: Head) -> None:
        """Take over a connection whose peer has asked for it with `head`."""
        self.connection_made(transport)
        self.data_received(bytes(head))
        transport.set_protocol(self)

    async def send(self, message: Any) -> None:
        """Send an event of the application, remembering that a refusal ends the handshake too.

        uvicorn forgets that and would log each refused handshake as an error of the application.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    def look_after(self, now: float, limits: HttpLimits) -> None:
        """End this connection if its peer does not read."""
        self._stall_watch.abort_if_stalled(self.transport, now, limits.stall_seconds)

    def may_give_way(self) -> bool:
        """Whether others may have its place: its session has a limit of its own."""
        return False
