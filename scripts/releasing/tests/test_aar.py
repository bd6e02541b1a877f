"""An AAR has what Gradle asks for, nothing for desktops, and only libraries that phones load."""

import struct
import unittest

from releasing import Refused, aar, archive
from releasing.tests.test_elf import library

CLASS = struct.pack(">IHH", 0xCAFEBABE, 0, 55)
JAR = archive.write({"dev/rowtide/A.class": CLASS, "linux-x86-64/librowtide_ffi.so": b"desktop", "META-INF/x.kotlin_module": b""})
MANIFEST = aar.manifest("dev.rowtide")
RULES = b"-keep class com.sun.jna.** { *; }\n"


class Aars(unittest.TestCase):
    def test_it_has_the_parts_that_gradle_asks_for(self):
        files = archive.read(aar.write(MANIFEST, JAR, RULES, {"arm64-v8a": ("lib.so", library())}))
        self.assertEqual(
            sorted(files),
            [
                "AndroidManifest.xml",
                "META-INF/com/android/build/gradle/aar-metadata.properties",
                "R.txt",
                "classes.jar",
                "jni/arm64-v8a/lib.so",
                "proguard.txt",
            ],
        )
        self.assertIn(b'package="dev.rowtide"', files["AndroidManifest.xml"])
        self.assertIn(b'minSdkVersion="24"', files["AndroidManifest.xml"])
        self.assertEqual(files["proguard.txt"], RULES)

    def test_its_classes_come_without_the_libraries_for_desktops(self):
        files = archive.read(aar.write(MANIFEST, JAR, RULES, {}))
        self.assertEqual(sorted(archive.read(files["classes.jar"])), ["META-INF/x.kotlin_module", "dev/rowtide/A.class"])

    def test_a_library_in_the_wrong_folder_or_with_small_pages_is_refused(self):
        for bad in (library(64, 62), library(alignment=4096)):
            with self.assertRaises(Refused):
                aar.write(MANIFEST, JAR, RULES, {"arm64-v8a": ("lib.so", bad)})

    def test_classes_that_are_too_new_are_refused(self):
        jar = archive.write({"dev/rowtide/New.class": struct.pack(">IHH", 0xCAFEBABE, 0, 61)})
        with self.assertRaises(Refused) as caught:
            aar.write(MANIFEST, jar, RULES, {})
        self.assertIn("version 61", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
