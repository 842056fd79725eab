"""From a code to the nearest supports."""
