"""The WebSocket of a live camera: a frame in, its symbols out, one at a time.

A client sends a frame (binary: JPEG, PNG or WebP), and the next one after the answer. Text messages are JSON commands:
`{"look": track}`, `{"teach": label}` and `{"far": rate}`. Every answer names what it is about: "frame", or the command.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.server.access import authorise
from oneshot_runtime.server.live_session import LiveSession
from oneshot_runtime.server.problems import ProblemError
from oneshot_runtime.server.service import Service

__all__ = ["LIVE_PATH", "LIVE_PROTOCOL", "MAX_FRAME", "LiveRoute"]

_LOG = logging.getLogger(__name__)

LIVE_PATH = "/v1/live"
LIVE_PROTOCOL = "oneshot.live"
"""The subprotocol that is agreed on; a browser also offers one that carries its token."""

_CAMERAS = 8
"""That one process reads at a time."""

_FASTEST = 1 / 30
"""Seconds from one frame to the next at least."""

_IDLE = 60.0
"""Seconds without a message after which a camera is let go; the page connects again by itself."""

MAX_FRAME = 4 << 20
"""Bytes of an encoded frame."""

_MAX_COMMAND = 4096
_GOING_AWAY, _TOO_BIG, _TRY_LATER, _REFUSED = 1001, 1009, 1013, 1008


_COMMANDS = 'a command is {"look": track}, {"teach": label} or {"far": a rate, "none" or null}'


def _is_rate(far: Any) -> bool:
    return far in ("none", None) or (isinstance(far, int | float) and not isinstance(far, bool))


class LiveRoute:
    """The endpoint of `LIVE_PATH`. The guard has checked the host before."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cameras = 0
        self._max_frame = min(MAX_FRAME, service.options.max_bytes)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one camera until it goes."""
        try:
            authorise(socket.scope, self._service.options)
        except ProblemError as problem:
            await socket.close(_REFUSED, problem.shown(())[:120])  # before it is accepted: a plain 403
            return
        offered = LIVE_PROTOCOL in socket.scope.get("subprotocols", ())
        await socket.accept(LIVE_PROTOCOL if offered else None)
        if self._cameras >= _CAMERAS:
            await socket.close(_TRY_LATER, f"{_CAMERAS} cameras are being read already")
            return
        self._cameras += 1
        try:
            await self._serve(socket, LiveSession(self._service.matcher))
        except WebSocketDisconnect:
            pass
        finally:
            self._cameras -= 1

    async def _serve(self, socket: WebSocket, session: LiveSession) -> None:
        while True:
            start = time.monotonic()
            with anyio.move_on_after(_IDLE):
                message = await socket.receive()
                frame, command = message.get("bytes"), message.get("text")
                if message["type"] == "websocket.disconnect":
                    return
                if len(frame or b"") > self._max_frame or len(command or "") > _MAX_COMMAND:
                    await socket.close(_TOO_BIG, f"a frame has {self._max_frame} bytes at most, a command {_MAX_COMMAND}")
                    return
                if frame is not None:
                    await self._answer(socket, "frame", partial(session.read, frame))
                    await anyio.sleep(max(0.0, start + _FASTEST - time.monotonic()))
                else:
                    await self._command(socket, session, command or "")
                continue
            await socket.close(_GOING_AWAY, f"nothing came for {_IDLE:g} s")
            return

    async def _command(self, socket: WebSocket, session: LiveSession, text: str) -> None:
        try:
            command = json.loads(text)
        except ValueError:
            command = None
        if isinstance(command, dict) and isinstance(track := command.get("look"), int):
            await self._answer(socket, "look", partial(session.look, track))
        elif isinstance(command, dict) and isinstance(label := command.get("teach"), str):
            await self._answer(socket, "teach", partial(session.teach, label))
        elif isinstance(command, dict) and "far" in command and _is_rate(far := command["far"]):
            await self._answer(socket, "far", lambda: session.use(self._service.at(far)))
        else:
            await socket.send_json({"about": "command", "problem": _COMMANDS})

    async def _answer(self, socket: WebSocket, about: str, work: Callable[[], dict[str, Any]]) -> None:
        """Do the work in a thread and send what it gives, or what is wrong. A session is for one thread at a time: each is
        waited for, as a write is."""
        try:
            answer = await self._service.live(work)
        except (OneShotError, ProblemError) as error:
            answer = {"problem": self._service.shown(error)}
        except Exception as error:
            _LOG.exception("a live %s failed", about)
            answer = {"problem": self._service.shown(error)}
        await socket.send_json({"about": about, **answer})
