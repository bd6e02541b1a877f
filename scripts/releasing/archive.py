"""Zip archives, jars and AARs whose bytes depend on nothing but the names and contents of their files."""

import hashlib
import io
import zipfile
from pathlib import Path

# The first moment that a zip can name. Every entry has it, so the hour of the build leaves no trace.
FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)
UNIX = 3


def write(entries):
    """The bytes of a zip archive of `entries`, a mapping of names to bytes.

    Entries stand in the order of their names, but a manifest stands first, as `java.util.jar.JarInputStream` expects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(entries, key=lambda name: (name != "META-INF/MANIFEST.MF", name)):
            entry = zipfile.ZipInfo(name, FIRST_MOMENT)
            entry.create_system = UNIX
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, entries[name], compresslevel=9)
    return buffer.getvalue()


def read(data):
    """The files of a zip archive (a path or bytes): a mapping of names to bytes. Folders are left out."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    with zipfile.ZipFile(source) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}


def folder(path, below=""):
    """The files under a folder: a mapping of `below` plus their relative names to bytes."""
    root = Path(path)
    return {
        below + file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def sha256(data):
    """The SHA-256 of bytes, in lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
