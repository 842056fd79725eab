"""From canvas to probability: the bundle, the sessions that run its graphs, codes, thresholds."""
