"""Hashes, ABI words, addresses, signatures, EIP-712 digests and Merkle trees: everything a verifier needs and nothing more."""
