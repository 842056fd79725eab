"""One gallery on several machines: its supports are shared out to shards, each of which searches its share (extra `ray`)."""

from oneshot_runtime.cluster.cluster_encoding import coded_on_cluster
from oneshot_runtime.cluster.cluster_store import ClusterGallery

__all__ = ["ClusterGallery", "coded_on_cluster"]
