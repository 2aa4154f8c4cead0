"""The FastAPI application: GET /health, and whatever pages come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable


def create_pages(why_not_ready: Callable[[], str | None]) -> FastAPI:
    """Return the FastAPI application with GET /health."""
    pages = FastAPI(title="Poolchain", docs_url=None, redoc_url=None, openapi_url=None)

    @pages.get("/health")
    async def health() -> JSONResponse:
        """Answer 200 when ready, else 503 with the reason."""
        reason = why_not_ready()
        if reason is None:
            return JSONResponse({"status": "ready", "reason": None})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    return pages
