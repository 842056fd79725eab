"""Connections that are bounded in time and number: clients that send nothing, or half a request, keep no other client out."""

from __future__ import annotations

import asyncio
import select
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
except ImportError:  # slower, and always there
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol  # type: ignore[assignment]

if TYPE_CHECKING:
    from uvicorn.server import ServerState

__all__ = ["BoundedProtocol"]

_SPARE = 64
"""Connections below the limit at which the longest waiting one makes room: a burst is accepted before any is closed."""

_MAX_HEAD = 64 << 10
"""Bytes of a request's first line and headers, and of what stands between the chunks of its body and behind them."""

_FRAMING = 8
"""What stands between chunks may in addition be one byte for so many of the body's: chunks of a byte each are an attack."""

_PIECE = 8 << 10
"""Bytes that are parsed before it is looked whether they are too many: a parser calls back for each header and each chunk."""

_MAX_REST = 32 << 20
"""Bytes of a body that may still come once its request is answered: a client that was refused sends on before it looks."""

_PIPELINED = 16
"""Requests that a client may send before the first of them is answered: no browser sends two."""

_SPARED = 16
"""Connections that have sent something which was not read yet, and are passed over to make room for one more."""

_CALLS_BACK = hasattr(_Protocol, "on_body")
"""Whether the parser tells of each part of a body (httptools); h11 bounds heads and chunks itself."""

_waiting: weakref.WeakKeyDictionary[ServerState, OrderedDict[BoundedProtocol, None]] = weakref.WeakKeyDictionary()
"""For each server its connections that wait for the rest of a request, the longest waiting first."""


class BoundedProtocol(_Protocol):
    """uvicorn's protocol (`http=` of its configuration) with a deadline for a request's head and for an answer's reader.

    `timeout_keep_alive` are the seconds that a head may take, and that a client may leave an answer lying. Near
    `limit_concurrency` the connection that has waited longest without a whole request makes room for a new one. One that sends
    many requests without waiting for answers is cut off.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._line = _waiting.setdefault(self.server_state, OrderedDict())
        self._head = self._body = 0
        self._draining = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._wait()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away."""
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing() or self not in self.connections:
                return
            piece = data[start : start + _PIECE] if len(data) > _PIECE else data
            self._head += len(piece)
            super().data_received(piece)
            if self.transport.is_closing() or self not in self.connections:  # a WebSocket has other bounds
                self._give_up()
            else:
                self._look()

    def _look(self) -> None:
        """What to do about what has come so far."""
        if self.cycle is None or self.cycle.response_complete:
            if self._draining:
                if self._head + self._body > _MAX_REST:
                    self.transport.abort()
            elif self._head > _MAX_HEAD:
                self.send_400_response("The request's head is too large.")
        else:
            if _CALLS_BACK and self._head > _MAX_HEAD + self._body // _FRAMING:
                self.transport.abort()
            self._headed()

    def on_response_complete(self) -> None:
        """An answer is on its way, and the next request may come."""
        if getattr(self, "pipeline", ()):
            self._answered = self.pipeline[-1][0]
        super().on_response_complete()
        self._draining = self.cycle.more_body  # the rest of a body that nobody asks for any more
        if not self.transport.is_closing():
            if self.cycle.response_complete:
                self._wait()
            else:  # the next one was there already
                self._headed()

    def on_message_begin(self) -> None:
        """A request begins (httptools; h11 reads one at a time)."""
        if not self.transport.is_closing():  # else what came with the last one is of no use
            super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is there (httptools)."""
        if self.transport.is_closing():
            return
        if len(self.pipeline) < _PIPELINED:
            super().on_headers_complete()
            if not self.pipeline:
                self._answered = self.cycle
        else:
            self._answered.disconnected = True  # else it would write to a transport that is closed
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """A part of a body is there (httptools)."""
        self._head -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A body is there (httptools)."""
        super().on_message_complete()
        self._head = self._body = 0
        self._draining = False

    def send_400_response(self, msg: str) -> None:
        """Tell a client what is wrong with its request, unless it is cut off already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """The client does not read what is sent to it."""
        super().pause_writing()
        if self._reader_timer is None:
            self._reader_timer = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _wait(self) -> None:
        """From now on a request's head is waited for."""
        self._head = self._body = 0
        self._line[self] = None
        self._line.move_to_end(self)
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self._late)

    def _headed(self) -> None:
        """A head is there: from now on the application says how long the body may take."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self.cycle.more_body:
            self._line.pop(self, None)
            self._line[self] = None  # a body that goes on arriving is not what waits longest
        else:
            self._line.pop(self, None)

    def _late(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _make_room(self) -> None:
        if self.limit_concurrency is None:
            return
        usual, most = self.limit_concurrency - _SPARE, self.limit_concurrency - _SPARE // 2
        spared = 0
        while len(self.connections) > max(1, usual) and spared < min(_SPARED, len(self._line)):
            longest = next(iter(self._line))
            if longest is self or (len(self.connections) < most and _has_sent(longest.transport)):
                self._line.move_to_end(longest)  # it waits for this process, not the other way round
                spared += 1
            else:
                self._line.pop(longest)
                self.connections.discard(longest)
                longest.transport.abort()

    def _give_up(self) -> None:
        self._line.pop(self, None)
        self._stop_timers()

    def _stop_timers(self) -> None:
        timers: list[Any] = [self._head_timer, self._reader_timer]
        for timer in timers:
            if timer is not None:
                timer.cancel()


def _has_sent(transport: asyncio.BaseTransport) -> bool:
    """Whether a client that has not gone has sent something that was not read yet, where the system tells."""
    if not hasattr(select, "poll"):
        return False
    gone = getattr(select, "POLLRDHUP", 0)
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN | gone)
    return any(found == select.POLLIN for _, found in poll.poll(0))
