"""Whether a gallery and a bundle survive: kills, damage, hostile files, many threads."""
