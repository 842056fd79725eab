"""From the bytes of a picture to the model's canvas."""

from oneshot_runtime.vision.decode import FORMATS, ImageSource
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

__all__ = ["FORMATS", "ImageSource", "PreprocessSpec", "preprocess"]
