"""Programs that the attacks run: each has `main(arguments)` and is a process of its own."""
