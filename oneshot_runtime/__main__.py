"""`python -m oneshot_runtime` is the `oneshot` command."""

from oneshot_runtime.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
