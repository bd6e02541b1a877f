// swift-tools-version: 6.0
import PackageDescription

// A newcomer's project. The released package lies beside it, as the archive `Rowtide-VERSION.zip` has it.
let package = Package(
    name: "Consumer",
    platforms: [.iOS(.v15), .macOS(.v12)],
    dependencies: [.package(path: "../Rowtide")],
    targets: [
        .executableTarget(name: "Consumer", dependencies: [.product(name: "Rowtide", package: "Rowtide")])
    ]
)
