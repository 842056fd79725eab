"""The HTTP API in several processes of a server of your own: each opens the gallery for itself, after it was started.

    gunicorn -k asgi -w 4 'workers:application()'
    uvicorn --factory --workers 4 workers:application

Both from the folder of this file; ONESHOT_GALLERY names the gallery. `oneshot serve --workers 4` needs no such file.
"""

from __future__ import annotations

import os

from fastapi import FastAPI

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import create_app


def application() -> FastAPI:
    """Called in each worker, never with gunicorn's `--preload`: a gallery file is not carried over a fork."""
    gallery = os.environ.get("ONESHOT_GALLERY", "letters.db")
    return create_app(OneShotMatcher.load(gallery=gallery, threads=1), gallery=gallery)
