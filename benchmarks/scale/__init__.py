"""Large galleries: searching, loading, writing, clusters and databases."""
