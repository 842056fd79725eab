"""One-shot accuracy on symbols of other kinds than Omniglot's: `python -m benchmarks.domains --sets DIR`."""
