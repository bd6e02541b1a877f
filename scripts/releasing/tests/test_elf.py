"""Libraries that a phone would not load are refused, each with its reason."""

import contextlib
import io
import struct
import tempfile
import unittest
from pathlib import Path

from releasing import Refused, archive, elf

LOAD, DYNAMIC = 1, 2


def library(bits=64, machine=183, alignment=16384, needed=("libc.so",), textrel=False, shift=0, kind=3):
    """A shared library of headers only: one loadable segment that holds everything, and its dynamic section."""
    header, segment = (64, 56) if bits == 64 else (52, 32)
    strings = b"\0"
    tags = []
    for name in needed:
        tags.append((1, len(strings)))
        strings += name.encode() + b"\0"
    if textrel:
        tags.append((22, 0))
    dynamic_at = header + 2 * segment
    word = "<qQ" if bits == 64 else "<iI"
    strings_at = dynamic_at + (len(tags) + 2) * struct.calcsize(word)
    dynamic = b"".join(struct.pack(word, *tag) for tag in [*tags, (5, strings_at + shift), (0, 0)])
    size = strings_at + len(strings)
    if bits == 64:
        head = struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        parts = [(LOAD, 5, 0, shift, shift, size, size, alignment)]
        parts.append((DYNAMIC, 6, dynamic_at, dynamic_at + shift, 0, len(dynamic), len(dynamic), 8))
        table = b"".join(struct.pack("<IIQQQQQQ", *part) for part in parts)
    else:
        head = struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        parts = [(LOAD, 0, shift, shift, size, size, 5, alignment)]
        parts.append((DYNAMIC, dynamic_at, dynamic_at + shift, 0, len(dynamic), len(dynamic), 6, 4))
        table = b"".join(struct.pack("<IIIIIIII", *part) for part in parts)
    identity = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    return identity + head + table + dynamic + strings


class Libraries(unittest.TestCase):
    def refused(self, data, abi=None):
        with self.assertRaises(Refused) as caught:
            elf.check("lib.so", data, abi)
        return str(caught.exception)

    def main(self, path):
        """The exit code of the command, whose lines are of no interest here."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return elf.main([str(path)])

    def test_one_of_each_abi_passes_in_its_folder(self):
        for abi, (bits, machine) in elf.ABIS.items():
            with self.subTest(abi):
                read = elf.check("lib.so", library(bits, machine, needed=("libc.so", "libm.so")), abi)
                self.assertEqual(read.needed, ("libc.so", "libm.so"))

    def test_pages_of_4_kb_are_refused_with_the_mend(self):
        self.assertIn("-z,max-page-size=16384", self.refused(library(alignment=4096)))
        self.assertIn("aligned to 4096", self.refused(library(32, 40, alignment=4096)))

    def test_larger_pages_pass(self):
        elf.check("lib.so", library(alignment=65536))

    def test_an_address_that_does_not_follow_the_file_is_refused(self):
        self.assertIn("do not agree", self.refused(library(shift=4096)))
        elf.check("lib.so", library(shift=16384))

    def test_the_wrong_folder_is_told(self):
        self.assertIn("is for arm64-v8a, not for x86_64", self.refused(library(), "x86_64"))
        self.assertIn("no ABI of Android", self.refused(library(), "mips"))

    def test_libraries_that_no_phone_has_are_named(self):
        text = self.refused(library(needed=("libc.so", "libgcc_s.so.1", "libunwind.so")))
        self.assertIn("libgcc_s.so.1, libunwind.so", text)

    def test_text_relocations_are_refused(self):
        self.assertIn("-fPIC", self.refused(library(textrel=True)))

    def test_what_is_no_library_is_refused(self):
        self.assertIn("no ELF", self.refused(b"MZ"))
        self.assertIn("type 2", self.refused(library(kind=2)))
        for size in range(5, len(library()) - 2):
            with self.subTest(size):
                self.refused(library()[:size])

    def test_the_libraries_in_an_aar_are_found_with_their_abi(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "a.aar"
            path.write_bytes(archive.write({"jni/x86_64/lib.so": library(64, 62), "classes.jar": b""}))
            self.assertEqual([(abi, data) for _, abi, data in elf.libraries(path)], [("x86_64", library(64, 62))])
            self.assertEqual(self.main(path), 0)
            path.write_bytes(archive.write({"jni/x86_64/lib.so": library()}))
            self.assertEqual(self.main(path), 1)
            path.write_bytes(archive.write({"jni/mips/lib.so": b"passed over", "classes.jar": b""}))
            self.assertEqual(self.main(path), 1)


if __name__ == "__main__":
    unittest.main()
