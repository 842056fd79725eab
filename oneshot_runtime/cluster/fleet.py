"""The shards as Ray actors: Ray places them and starts them again; what goes wrong becomes an error of this library."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from oneshot_runtime.cluster.shard import SUPPORT_BYTES, Answer, Shard, Source
from oneshot_runtime.errors import DependencyError, GalleryError, OneShotError

__all__ = ["RayFleet", "import_ray", "require_room", "shard_memory"]

_PROCESS_BYTES = 200_000_000
"""An actor before it holds anything: the interpreter, Ray, numpy and OpenCV."""

_GROWTH = 1.25
_UNEVEN = 6.0
"""Standard deviations by which the hash may give a shard more than its share."""

_START_SECONDS = 60.0
_LOAD_SECONDS = 1e-4
"""What the first question may take beyond others: to start the processes, and for each support, several times its reading."""

_SHARED_BYTES = 100_000
"""Arguments from this size on are put into Ray's object store once, not sent to each shard."""


def import_ray() -> ModuleType:
    """Ray. Raises `DependencyError` naming the extra when it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise DependencyError("a gallery on a cluster needs Ray: pip install 'oneshot-runtime[ray]'") from error
    module: ModuleType = ray
    return module


def shard_memory(supports: int, shards: int, dim: int) -> int:
    """Bytes for the supports of a shard: the share that none of the shards is likely to exceed, and room to grow."""
    share = supports / shards
    return math.ceil(_GROWTH * (share + _UNEVEN * math.sqrt(share) + 1000) * (dim + SUPPORT_BYTES))


def require_room(nodes: list[dict[str, Any]], shards: int, memory: int, threads: int) -> None:
    """Raise `GalleryError` unless the living nodes, as `ray.nodes()` lists them, can hold all shards."""
    offers = [node["Resources"] for node in nodes if node["Alive"]]
    places = sum(int(min(offer.get("memory", 0) // memory, offer.get("CPU", 0) // threads)) for offer in offers)
    if places < shards:
        found = ", ".join(f"{offer.get('memory', 0) / 1e9:.2f} GB and {offer.get('CPU', 0):g} CPU" for offer in offers)
        raise GalleryError(
            f"the cluster is too small for this gallery, so nothing was loaded: {shards} shard(s) need {memory / 1e9:.2f} GB "
            f"and {threads} CPU each, its {len(offers)} node(s) offer {found}, which is room for {places}; add nodes, or use "
            "more and smaller shards"
        )


class RayFleet:
    """One actor a shard, spread over the nodes. supports: how many there are to load. seconds: that an answer may take."""

    def __init__(self, source: Source, supports: int, seconds: float) -> None:
        self.shards = source.shards
        self._ray = self.require_cluster()
        self._seconds = seconds
        memory = source.limit + _PROCESS_BYTES
        require_room(self._ray.nodes(), source.shards, memory, source.threads)
        # A search may be asked twice without harm, so Ray repeats what a dead actor did not answer.
        actor = self._ray.remote(Shard).options(
            num_cpus=source.threads,
            memory=memory,
            max_restarts=-1,
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
        )
        self._actors = [actor.remote(source, number) for number in range(source.shards)]
        try:
            self._get([shard.state.remote(0) for shard in self._actors], seconds + _START_SECONDS + _LOAD_SECONDS * supports)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def require_cluster() -> ModuleType:
        """Ray, connected. Raises `DependencyError` or `GalleryError`."""
        ray = import_ray()
        if not ray.is_initialized():
            raise GalleryError(
                "this process has joined no Ray cluster: call ray.init(address=...) first, or ray.init() for one here"
            )
        return ray

    def ask(self, method: str, *arguments: Any, only: int | None = None) -> list[Answer]:
        """What every shard answers, or one of them, to a method of `Shard`."""
        asked = self._actors if only is None else [self._actors[only]]
        passed = [self._once(argument) if len(asked) > 1 else argument for argument in arguments]
        return self._get([getattr(shard, method).remote(*passed) for shard in asked], self._seconds)

    def close(self) -> None:
        """End the actors."""
        if self._ray.is_initialized():
            for shard in self._actors:
                self._ray.kill(shard)
        self._actors = []

    def _once(self, argument: Any) -> Any:
        return self._ray.put(argument) if isinstance(argument, np.ndarray) and argument.nbytes >= _SHARED_BYTES else argument

    def _get(self, references: list[Any], seconds: float) -> list[Answer]:
        exceptions = self._ray.exceptions
        try:
            answers: list[Answer] = self._ray.get(references, timeout=seconds)
            return answers
        except exceptions.GetTimeoutError as error:
            _, missing = self._ray.wait(references, num_returns=len(references), timeout=0)
            names = [str(number) for number, reference in enumerate(references) if reference in missing]
            raise GalleryError(
                f"shard(s) {', '.join(names)} of {self.shards} did not answer within {seconds:.0f} s, so no answer is given: "
                "they reload, or Ray finds no place for them (`ray status` tells); try again, or add nodes"
            ) from error
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, OneShotError):
                raise error.cause from None
            raise GalleryError(f"a shard failed: {error.cause!r}; nothing was changed, try again") from error
        except exceptions.RayError as error:
            raise GalleryError(
                f"a shard cannot be reached, so no answer is given: {error}; try again, or open the gallery again"
            ) from error
