"""The project's own symbols: invented alphabets and drawings of them by different writers."""

from oneshot_runtime.synthetic.strokes import Symbol, Writer, draw, invent_alphabet, random_writer, symbol_names

__all__ = ["Symbol", "Writer", "draw", "invent_alphabet", "random_writer", "symbol_names"]
