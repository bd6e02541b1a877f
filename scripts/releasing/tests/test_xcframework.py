"""A framework whose list, files or object files contradict each other is refused, each with its reason."""

import plistlib
import struct
import unittest

from releasing import Refused, xcframework

CPU = {"arm64": 0x0100000C, "x86_64": 0x01000007}
MACOS, IOS, SIMULATOR = 1, 2, 7
HEADERS = {
    "CRowtide.h": b"#pragma once\n",
    "module.modulemap": b'module CRowtide {\n    header "CRowtide.h"\n    export *\n}\n',
}


def mach_o(architecture="arm64", platform=IOS, oldest=(15, 0), kind=1):
    """An object file of headers only, with another load command before the one that counts."""
    version = oldest[0] << 16 | oldest[1] << 8
    commands = struct.pack("<IIII", 0x2, 16, 0, 0) + struct.pack("<IIIIII", 0x32, 24, platform, version, version, 0)
    return struct.pack("<IIIIIIII", 0xFEEDFACF, CPU[architecture], 0, kind, 2, len(commands), 0, 0) + commands


def member(name, data):
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)


def bsd(*objects):
    """A static library as Apple's tools and rustc write it, with long names before their contents."""
    parts = [member("#1/12", b"__.SYMDEF\0\0\0index")]
    for index, data in enumerate(objects):
        name = f"a-name-that-is-long-{index}.o".encode().ljust(24, b"\0")
        parts.append(member(f"#1/{len(name)}", name + data))
    return b"!<arch>\n" + b"".join(parts)


def gnu(*objects):
    """A static library as GNU ar writes it, with long names in a table."""
    names = b"".join(b"a-name-that-is-long-%d.o/\n" % index for index in range(len(objects)))
    parts = [member("/", b"index"), member("//", names)]
    for index, data in enumerate(objects):
        at = names.index(b"a-name-that-is-long-%d.o" % index)
        parts.append(member(f"/{at}", data))
    return b"!<arch>\n" + b"".join(parts)


def universal(libraries):
    """What lipo makes of one library for each architecture."""
    at, heads, body = 8 + 20 * len(libraries), b"", b""
    for architecture, data in libraries.items():
        heads += struct.pack(">IIIII", CPU[architecture], 0, at + len(body), len(data), 0)
        body += data
    return struct.pack(">II", 0xCAFEBABE, len(libraries)) + heads + body


def released():
    """The libraries of every slice of a release."""
    both = lambda platform, oldest: universal({cpu: bsd(mach_o(cpu, platform, oldest)) for cpu in CPU})
    return {
        "ios-arm64": bsd(mach_o(), mach_o(oldest=(11, 0))),
        "ios-arm64_x86_64-simulator": both(SIMULATOR, (15, 0)),
        "macos-arm64_x86_64": both(MACOS, (12, 0)),
    }


class Frameworks(unittest.TestCase):
    def refused(self, files):
        with self.assertRaises(Refused) as caught:
            xcframework.check(files)
        return str(caught.exception)

    def device(self, library):
        return {**xcframework.assemble(HEADERS, {"ios-arm64": bsd(mach_o())}), "ios-arm64/librowtide_ffi.a": library}

    def test_every_slice_of_a_release_is_listed_as_xcode_lists_it(self):
        files = xcframework.assemble(HEADERS, released())
        self.assertEqual(sorted(xcframework.check(files)), sorted(xcframework.RELEASED))
        listed = plistlib.loads(files["Info.plist"])["AvailableLibraries"]
        self.assertEqual(
            listed[1],
            {
                "BinaryPath": "librowtide_ffi.a",
                "HeadersPath": "Headers",
                "LibraryIdentifier": "ios-arm64_x86_64-simulator",
                "LibraryPath": "librowtide_ffi.a",
                "SupportedArchitectures": ["arm64", "x86_64"],
                "SupportedPlatform": "ios",
                "SupportedPlatformVariant": "simulator",
            },
        )
        self.assertIn("ios-arm64/Headers/CRowtide/module.modulemap", files)

    def test_the_list_does_not_depend_on_the_order_of_the_slices(self):
        backwards = dict(reversed(released().items()))
        self.assertEqual(xcframework.assemble(HEADERS, backwards), xcframework.assemble(HEADERS, released()))

    def test_libraries_of_both_families_of_ar_are_read(self):
        xcframework.check(self.device(gnu(mach_o(), mach_o())))
        self.assertIn("a-name-that-is-long-1.o is for macos", self.refused(self.device(gnu(mach_o(), mach_o(platform=MACOS)))))

    def test_a_library_of_another_architecture_is_refused(self):
        self.assertIn("holds x86_64 instead of arm64", self.refused(self.device(bsd(mach_o("x86_64")))))

    def test_a_simulator_library_in_the_folder_of_devices_is_refused(self):
        self.assertIn("is for ios-simulator", self.refused(self.device(bsd(mach_o(platform=SIMULATOR)))))

    def test_one_object_that_needs_a_newer_system_is_refused(self):
        text = self.refused(self.device(bsd(mach_o(), mach_o(oldest=(16, 4)))))
        self.assertIn("long-1.o needs ios 16.4; set the deployment target", text)

    def test_what_is_no_library_is_refused(self):
        for library in (b"\x7fELF" + bytes(100), bsd(), bsd(b"BC\xc0\xde" + bytes(40)), bsd(mach_o())[:-20], bsd(mach_o(kind=6))):
            self.refused(self.device(library))

    def test_missing_and_stray_files_are_named(self):
        whole = xcframework.assemble(HEADERS, released())
        for name in whole:
            if name.endswith((".plist", ".modulemap", ".h", ".a")):
                with self.subTest(name):
                    self.assertIn(name, self.refused({key: value for key, value in whole.items() if key != name}))
        self.assertIn("ios-armv7", self.refused({**whole, "ios-armv7/librowtide_ffi.a": b""}))

    def test_a_list_that_contradicts_the_folder_is_refused(self):
        files = xcframework.assemble(HEADERS, {"ios-arm64": bsd(mach_o())})
        listed = plistlib.loads(files["Info.plist"])
        changes = [
            ("SupportedPlatform", "macos"),
            ("SupportedPlatformVariant", "simulator"),
            ("SupportedArchitectures", ["x86_64"]),
            ("LibraryIdentifier", "ios"),
            ("HeadersPath", "Elsewhere"),
        ]
        for key, value in changes:
            with self.subTest(key):
                entry = {**listed["AvailableLibraries"][0], key: value}
                self.refused({**files, "Info.plist": plistlib.dumps({**listed, "AvailableLibraries": [entry]})})
        self.refused({**files, "Info.plist": plistlib.dumps({**listed, "CFBundlePackageType": "FMWK"})})
        self.refused({**files, "Info.plist": b"no list"})

    def test_a_module_map_of_another_module_is_refused(self):
        headers = {**HEADERS, "module.modulemap": b'module Other {\n header "CRowtide.h"\n}'}
        with self.assertRaises(Refused):
            xcframework.assemble(headers, {"ios-arm64": bsd(mach_o())})


if __name__ == "__main__":
    unittest.main()
