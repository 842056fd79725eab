"""From canvas to probability: the bundle, the sessions that run its graphs, codes, thresholds."""

from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle

__all__ = ["DEFAULT_BUNDLE", "Bundle"]
