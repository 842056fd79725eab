"""One gallery on several machines: its supports are shared out to shards, each of which searches its own (extra `ray`)."""

from oneshot_runtime.cluster.cluster_encoding import encode_on_cluster
from oneshot_runtime.cluster.cluster_store import ClusterStore

__all__ = ["ClusterStore", "encode_on_cluster"]
