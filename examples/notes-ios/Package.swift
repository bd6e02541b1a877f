// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "Notes",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "NotesUI", targets: ["NotesUI"])],
    dependencies: [.package(name: "Rowtide", path: "../../swift")],
    targets: [
        // Everything but the screens: builds and is tested on Linux too.
        .target(
            name: "NotesModel",
            dependencies: [.product(name: "Rowtide", package: "Rowtide")],
            resources: [.embedInCode("schema.sql")]
        ),
        // The screens, in SwiftUI; empty where there is none.
        .target(
            name: "NotesUI",
            dependencies: ["NotesModel", .product(name: "RowtideBackground", package: "Rowtide")]
        ),
        .testTarget(name: "NotesModelTests", dependencies: ["NotesModel"]),
    ],
    swiftLanguageModes: [.v6]
)
