"""From the bytes of a picture to the model's canvas."""

from oneshot_runtime.vision.decode import FORMATS
from oneshot_runtime.vision.image_source import ImageSource
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

__all__ = ["FORMATS", "ImageSource", "PreprocessSpec", "preprocess"]
