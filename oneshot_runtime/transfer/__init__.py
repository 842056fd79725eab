"""Galleries in and out: folders of pictures, archives, another model."""

from oneshot_runtime.transfer.bulk import BulkResult, encode_here, enroll_folder
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.transfer.folders import export_folder
from oneshot_runtime.transfer.migrate import migrate
from oneshot_runtime.transfer.npz import export_npz, import_npz

__all__ = ["BulkResult", "ImageEncoder", "encode_here", "enroll_folder", "export_folder", "export_npz", "import_npz", "migrate"]
