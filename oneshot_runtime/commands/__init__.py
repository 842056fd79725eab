"""The `oneshot` command's sub-commands, one module per group: each has a `register` that adds its parsers."""
