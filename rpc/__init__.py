"""JSON-RPC 2.0: strict values at the edge, methods, limits and the ASGI application."""
