"""Archives have the same bytes, whatever the order and the hour."""

import os
import tempfile
import unittest
import zipfile
from pathlib import Path

from releasing import archive


class Archives(unittest.TestCase):
    def test_the_order_of_the_files_leaves_no_trace(self):
        forwards = archive.write({"a": b"1", "b/c": b"2"})
        backwards = archive.write({"b/c": b"2", "a": b"1"})
        self.assertEqual(forwards, backwards)

    def test_the_times_of_the_files_leave_no_trace(self):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "file"
            file.write_bytes(b"text")
            early = archive.write(archive.folder(name))
            os.utime(file, (1_000_000_000, 1_000_000_000))
            late = archive.write(archive.folder(name))
        self.assertEqual(early, late)

    def test_the_bytes_are_known(self):
        # Another zlib or Python may compress differently; the entries' headers may not change.
        data = archive.write({"a": b""})
        self.assertEqual(data[:4], b"PK\x03\x04")
        self.assertEqual(data[10:14], b"\x00\x00\x21\x00")

    def test_what_is_written_is_read_back(self):
        files = {"jni/arm64-v8a/lib.so": bytes(range(256)) * 100, "R.txt": b""}
        self.assertEqual(archive.read(archive.write(files)), files)

    def test_a_manifest_stands_first(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "x.jar"
            path.write_bytes(archive.write({"A.class": b"", "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n"}))
            with zipfile.ZipFile(path) as jar:
                self.assertEqual(jar.namelist()[0], "META-INF/MANIFEST.MF")


if __name__ == "__main__":
    unittest.main()
