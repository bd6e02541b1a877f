import Foundation

/// `rowtide serve` with an empty store in memory, on a free port, until it is forgotten.
final class Server: @unchecked Sendable {
    static let secret = "a secret of the tests"

    let url: URL
    private let process: Process
    private let output: Pipe

    /// - Parameter tables: `TABLE:KEY` for each table.
    init(tables: [String] = ["notes:id"], wire: String = "b") throws {
        process = Process()
        output = Pipe()
        process.executableURL = Self.binary
        process.arguments = ["serve", "--listen", "127.0.0.1:0", "--store", "memory", "--wire", wire]
        process.arguments? += tables.flatMap { ["--table", $0] }
        process.environment = ["ROWTIDE_JWT_SECRET": Self.secret]
        process.standardOutput = output
        try process.run()
        let prefix = "listening on "
        var line = ""
        while !line.hasSuffix("\n") {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            line += String(decoding: more, as: UTF8.self)
        }
        guard line.hasPrefix(prefix),
            let url = URL(string: line.dropFirst(prefix.count).trimmingCharacters(in: .newlines))
        else {
            throw Failure("the server did not say where it listens: \(line)")
        }
        self.url = url
    }

    deinit { stop() }

    /// Kills it, as a power cut would.
    func stop() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private static var binary: URL {
        if let named = ProcessInfo.processInfo.environment["ROWTIDE_BINARY"] { return URL(fileURLWithPath: named) }
        return URL(fileURLWithPath: NSString.path(withComponents: project + ["target", "debug", "rowtide"]))
    }

    /// The folder of the project, by its components.
    static let project = Array(URL(fileURLWithPath: #filePath).pathComponents.dropLast(5))
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
