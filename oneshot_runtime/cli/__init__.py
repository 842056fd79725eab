"""The `oneshot` command: one module for each group of sub-commands, each with a `register` that adds its parsers."""
