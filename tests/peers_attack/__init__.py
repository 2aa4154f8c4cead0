"""Attacks on off-chain payments: hostile peers as programs of their own, and honest ones killed at every write."""
