"""Other people's implementations as judges of ours: the same question to both, and one answer."""
