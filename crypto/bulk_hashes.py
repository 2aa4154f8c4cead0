"""Many SHA-256 hashes in one call, for trees: see `crypto.plain_hashes`.

A call of hashlib takes four times as long as the hash of a node itself, and a settlement has fifteen to forty of them.
"""

from __future__ import annotations

try:
    from ._quick_hashes import hash_each, join_pairs, rehash, roots_of_runs
except ImportError:  # the rooms are not compiled, or hashlib does not stand on OpenSSL
    from .plain_hashes import hash_each, join_pairs, rehash, roots_of_runs

__all__ = ["hash_each", "join_pairs", "rehash", "roots_of_runs"]
