"""Hashes, ABI words, addresses, signatures, EIP-712 digests and Merkle trees: what a verifier needs."""
