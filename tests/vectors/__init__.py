"""Test vectors for every implementation of the protocol: see README.md beside this file."""
