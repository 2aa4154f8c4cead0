"""The ledger against other ways to the same answer: a reference model, equations, a game played to its end."""
