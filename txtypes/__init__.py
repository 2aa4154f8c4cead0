"""The transaction types: one file each with fields, encoding, digests and effect on state, and the table of them."""
