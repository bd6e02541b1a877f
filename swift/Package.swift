// swift-tools-version: 6.0
import Foundation
import PackageDescription

// The core and its C header: the XCFramework on Apple's platforms, the shared library that Cargo builds on Linux.
#if os(Linux)
let core = Target.systemLibrary(name: "CRowtide")
// Where librowtide_ffi.so is. It is found there at run time too.
let libraries =
    ProcessInfo.processInfo.environment["ROWTIDE_LIBRARY_DIR"] ?? "\(Context.packageDirectory)/../target/debug"
let linkerSettings: [LinkerSetting] = [
    .linkedLibrary("rowtide_ffi"),
    .unsafeFlags(["-L", libraries, "-Xlinker", "-rpath", "-Xlinker", libraries]),
]
#else
let core = Target.binaryTarget(name: "CRowtide", path: "CRowtide.xcframework")
let linkerSettings: [LinkerSetting] = [.linkedFramework("CoreFoundation"), .linkedFramework("Security")]
#endif

let package = Package(
    name: "Rowtide",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "Rowtide", targets: ["Rowtide"]),
        .library(name: "RowtideBackground", targets: ["RowtideBackground"]),
    ],
    targets: [
        core,
        // Generated from the core by UniFFI. What it generates is checked in the mode that it was written for.
        .target(
            name: "RowtideBindings",
            dependencies: ["CRowtide"],
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: linkerSettings
        ),
        .target(
            name: "Rowtide",
            dependencies: ["RowtideBindings"],
            resources: [.copy("PrivacyInfo.xcprivacy")]
        ),
        .target(name: "RowtideBackground", dependencies: ["Rowtide"]),
        .testTarget(name: "RowtideTests", dependencies: ["Rowtide", "RowtideBackground"]),
    ],
    swiftLanguageModes: [.v6]
)
