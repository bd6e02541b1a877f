"""CRowtide.xcframework: the core as a static library for each platform of Apple's, with its C header.

    python3 -m releasing.xcframework assemble HEADERS FOLDER SLICE=LIBRARY...
    python3 -m releasing.xcframework check FOLDER
    python3 -m releasing.xcframework zip FOLDER ARCHIVE

`assemble` does what `xcodebuild -create-xcframework` does, on any system. `check` refuses a framework whose list and
files differ, or whose object files are for something else than their folder says. `zip` writes an archive with the
same bytes every time, and prints its checksum: what `swift package compute-checksum` says, for `binaryTarget`.
"""

import plistlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import Refused, archive, macho

MODULE = "CRowtide"
LIBRARY = "librowtide_ffi.a"
# In a folder of its own: two frameworks of an app may not both put a module map at the top of the include path.
HEADERS = f"Headers/{MODULE}"


@dataclass(frozen=True)
class Slice:
    """The library for one platform. `oldest` is the version that the package supports, (major, minor)."""

    platform: str
    variant: str | None
    architectures: tuple
    oldest: tuple

    @property
    def name(self):
        """The folder of the slice, as Xcode names it."""
        parts = [self.platform, "_".join(self.architectures)]
        return "-".join(parts + [self.variant] if self.variant else parts)

    @property
    def built_for(self):
        """The platform as object files name it."""
        return "-".join(filter(None, [self.platform, self.variant]))


IOS, MACOS = (15, 0), (12, 0)
SLICES = {
    item.name: item
    for item in [
        Slice("ios", None, ("arm64",), IOS),
        Slice("ios", "simulator", ("arm64", "x86_64"), IOS),
        Slice("macos", None, ("arm64", "x86_64"), MACOS),
        # What a machine without Apple's tools can build, for checks.
        Slice("ios", "simulator", ("arm64",), IOS),
        Slice("macos", None, ("arm64",), MACOS),
    ]
}
# What a release must have.
RELEASED = ("ios-arm64", "ios-arm64_x86_64-simulator", "macos-arm64_x86_64")


def information(slices):
    """The Info.plist of a framework with these slices."""
    available = []
    for item in sorted(slices, key=lambda item: item.name):
        entry = {
            "BinaryPath": LIBRARY,
            "HeadersPath": "Headers",
            "LibraryIdentifier": item.name,
            "LibraryPath": LIBRARY,
            "SupportedArchitectures": list(item.architectures),
            "SupportedPlatform": item.platform,
        }
        if item.variant:
            entry["SupportedPlatformVariant"] = item.variant
        available.append(entry)
    return plistlib.dumps(
        {"AvailableLibraries": available, "CFBundlePackageType": "XFWK", "XCFrameworkFormatVersion": "1.0"}
    )


def assemble(headers, libraries):
    """The files of a framework, from the generated headers (names to bytes) and the library of each slice."""
    files = {"Info.plist": information([SLICES[name] for name in libraries])}
    for name, library in libraries.items():
        files[f"{name}/{LIBRARY}"] = library
        files.update({f"{name}/{HEADERS}/{header}": text for header, text in headers.items()})
    check(files)
    return files


def check(files):
    """Refuses a framework that Xcode or an app would stumble over. Answers the names of its slices."""
    if "Info.plist" not in files:
        raise Refused("Info.plist is missing at the top of the framework")
    try:
        listed = plistlib.loads(files["Info.plist"])
    except Exception as error:  # plistlib raises what its parsers raise
        raise Refused(f"Info.plist cannot be read: {error}") from error
    if listed.get("CFBundlePackageType") != "XFWK" or listed.get("XCFrameworkFormatVersion") != "1.0":
        raise Refused("Info.plist: CFBundlePackageType must be XFWK and XCFrameworkFormatVersion 1.0")
    names = [_check_slice(files, entry) for entry in listed.get("AvailableLibraries", [])]
    if not names or len(set(names)) != len(names):
        raise Refused(f"Info.plist must list each slice once; it lists {names}")
    stray = sorted({file.split("/")[0] for file in files} - {"Info.plist", "_CodeSignature", *names})
    if stray:
        raise Refused(f"Info.plist does not list {', '.join(stray)}")
    return names


def _check_slice(files, entry):
    name = entry.get("LibraryIdentifier")
    if name not in SLICES:
        raise Refused(f"Info.plist: {name} is no slice of this framework; there are {', '.join(SLICES)}")
    expected = SLICES[name]
    architectures = tuple(sorted(entry.get("SupportedArchitectures", [])))
    stated = (entry.get("SupportedPlatform"), entry.get("SupportedPlatformVariant"), architectures)
    if stated != (expected.platform, expected.variant, expected.architectures):
        raise Refused(f"Info.plist: {name} states {stated}, which its name contradicts")
    library = f"{name}/{entry.get('LibraryPath')}"
    module_map = f"{name}/{entry.get('HeadersPath')}/{MODULE}/module.modulemap"
    header = f"{name}/{entry.get('HeadersPath')}/{MODULE}/{MODULE}.h"
    for file in (library, module_map, header):
        if file not in files:
            raise Refused(f"{file} is missing")
    text = files[module_map].decode()
    if f"module {MODULE} " not in text or f'header "{MODULE}.h"' not in text:
        raise Refused(f"{module_map} must declare module {MODULE} with {MODULE}.h")
    _check_objects(library, macho.objects(files[library]), expected)
    return name


def _check_objects(library, objects, expected):
    found = sorted({item.architecture for item in objects})
    if tuple(found) != expected.architectures:
        raise Refused(f"{library} holds {', '.join(found)} instead of {', '.join(expected.architectures)}")
    for item in objects:
        if item.platform != expected.built_for:
            raise Refused(f"{library}: {item.name} is for {item.platform}")
        if item.oldest > expected.oldest:
            needs = ".".join(map(str, item.oldest))
            raise Refused(f"{library}: {item.name} needs {item.platform} {needs}; set the deployment target")


def main(arguments):
    """Runs one of the commands; answers the exit code."""
    match arguments:
        case ["assemble", headers, folder, *slices] if slices:
            libraries = dict(item.split("=", 1) for item in slices)
            unknown = sorted(set(libraries) - set(SLICES))
            if unknown:
                raise Refused(f"{', '.join(unknown)}: no slice of this framework; there are {', '.join(SLICES)}")
            files = assemble(
                archive.folder(headers), {name: Path(file).read_bytes() for name, file in libraries.items()}
            )
            shutil.rmtree(folder, ignore_errors=True)
            for name, data in files.items():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            print(f"{folder}: {', '.join(sorted(libraries))}")
        case ["check", folder]:
            names = check(archive.folder(folder))
            missing = [name for name in RELEASED if name not in names]
            print(f"{folder}: ok, {', '.join(names)}")
            if missing:
                print(f"{folder}: not for release, it lacks {', '.join(missing)}")
        case ["zip", folder, target]:
            data = archive.write(archive.folder(folder, f"{Path(folder).name}/"))
            Path(target).write_bytes(data)
            print(archive.sha256(data))
        case _:
            print(__doc__.strip(), file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as refusal:
        sys.exit(str(refusal))
