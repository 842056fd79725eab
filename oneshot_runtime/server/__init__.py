"""Recognition over HTTP, and a page to draw on; needs the extra `server`."""

from oneshot_runtime.errors import DependencyError

try:
    import fastapi  # noqa: F401
    import prometheus_client  # noqa: F401
    import python_multipart  # noqa: F401
    import uvicorn  # noqa: F401
    import websockets  # noqa: F401
except ImportError as error:
    raise DependencyError(f"{error.name} is not installed: pip install 'oneshot-runtime[server]'") from error

from oneshot_runtime.server.app import create_app
from oneshot_runtime.server.server_options import ServerOptions

__all__ = ["ServerOptions", "create_app"]
