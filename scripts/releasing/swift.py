"""The Swift package as a folder that Xcode and SwiftPM can take in: sources, generated sources, the XCFramework."""

from pathlib import Path

from . import Refused, archive

GENERATED = ("Sources/RowtideBindings/RowtideBindings.swift", "Sources/CRowtide/CRowtide.h", "Sources/CRowtide/module.modulemap")


def package(folder, xcframework, licences):
    """The files of the package: names below its top to bytes.

    `folder` is the Swift part of the project, with what scripts/generate-swift makes; `xcframework` a folder to take
    in, or None; `licences` maps file names to their texts.
    """
    root = Path(folder)
    files = {"Package.swift": (root / "Package.swift").read_bytes(), **archive.folder(root / "Sources", "Sources/")}
    files.update(archive.folder(root / "Tests", "Tests/"))
    missing = [name for name in GENERATED if name not in files]
    if missing:
        raise Refused(f"{', '.join(missing)}: missing; run scripts/generate-swift")
    if xcframework is not None:
        files.update(archive.folder(xcframework, "CRowtide.xcframework/"))
    return {**files, **licences}
