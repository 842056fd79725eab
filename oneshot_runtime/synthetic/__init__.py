"""The project's own symbols: invented alphabets and drawings of them by different writers."""
