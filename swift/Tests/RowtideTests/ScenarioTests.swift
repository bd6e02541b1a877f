import Foundation
import Rowtide
import Testing

/// What every language does and writes: `tests/scenario/README.md`.
@Suite("The scenario that every language runs")
struct ScenarioTests {
    @Test("writes the expected log", arguments: ["b", "a"])
    func log(wire: String) async throws {
        let folder = URL(fileURLWithPath: NSString.path(withComponents: Server.project + ["tests", "scenario"]))
        let scenario = try JSONDecoder().decode(
            Scenario.self, from: Data(contentsOf: folder.appendingPathComponent("scenario.json")))
        let expected = try String(contentsOf: folder.appendingPathComponent("expected.log"), encoding: .utf8)

        let (server, log) = (try Server(wire: wire), Log())
        var actors: [String: Performer] = [:]
        for step in scenario.steps {
            if step.open == true {
                actors[step.device] = try await Performer(step.device, scenario, server, log)
            }
            try await #require(actors[step.device]).perform(step)
        }
        let lines = await log.lines
        #expect(lines == expected.split(separator: "\n").map(String.init))
    }
}

private struct Scenario: Decodable {
    struct Table: Decodable {
        let name: String
        let key: String
    }

    struct Limits: Decodable {
        let uploadRows: Int
        let downloadRows: Int

        enum CodingKeys: String, CodingKey {
            case uploadRows = "upload_rows"
            case downloadRows = "download_rows"
        }
    }

    let schema: String
    let table: Table
    let limits: Limits
    let steps: [Step]
}

private struct Step: Decodable, Sendable {
    let device: String
    let open: Bool?
    let execute: String?
    let arguments: [Argument]?
    let fill: Int?
    let query: String?
    let status: Bool?
    let operation: String?
    let cancelAt: String?
    let tokens: [String]?
    let resolver: String?
    let credentialsChanged: Bool?
    let close: Bool?

    enum CodingKeys: String, CodingKey {
        case device, open, execute, arguments, fill, query, status, operation, tokens, resolver, close
        case cancelAt = "cancel_at"
        case credentialsChanged = "credentials_changed"
    }
}

private struct Argument: Decodable, Rowtide.Bindable {
    let sqlValue: Rowtide.Value

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let integer = try? value.decode(Int64.self) {
            sqlValue = .integer(integer)
        } else if let real = try? value.decode(Double.self) {
            sqlValue = .real(real)
        } else {
            sqlValue = .text(try value.decode(String.self))
        }
    }
}

private actor Log {
    private(set) var lines: [String] = []
    func write(_ text: String) { lines += text.components(separatedBy: "\n") }
}

/// What the scenario makes the app's callbacks do.
private actor Script {
    private var tokens: [String] = []
    private var resolver = ""

    func give(tokens: [String]) { self.tokens = tokens }
    func resolve(_ how: String) { resolver = how }

    func nextToken() -> String {
        let next = tokens.count > 1 ? tokens.removeFirst() : tokens.first
        return next == "stale" ? "stale" : Token.of("ada")
    }

    func decide(_ conflicts: [Rowtide.Conflict]) throws -> [Rowtide.Decision] {
        if resolver == "throws" { throw Failure("the scenario wants it so") }
        return try conflicts.map { conflict in
            var row = try #require(conflict.server)
            row["title"] = .text("\(title(conflict.server)) + \(title(conflict.local))")
            return .keepMerged(row)
        }
    }
}

/// A device of the scenario: what each step does, and the line that it writes.
private struct Performer {
    private let name: String
    private let device: Device
    private let database: Rowtide
    private let script = Script()
    private let log: Log

    init(_ name: String, _ scenario: Scenario, _ server: Server, _ log: Log) async throws {
        self.name = name
        self.log = log
        let script = self.script
        device = try Device(server) { options in
            options.tables = [
                Rowtide.Table(scenario.table.name, key: scenario.table.key, conflicts: .resolver)
            ]
            options.prepare = { try await $0.executeScript(scenario.schema) }
            options.limits.uploadRows = scenario.limits.uploadRows
            options.limits.downloadRows = scenario.limits.downloadRows
            options.tokens = { reason in
                await log.write("\(name) token \(word(reason))")
                return await script.nextToken()
            }
            options.resolver = { conflicts in
                for conflict in conflicts {
                    await log.write(
                        "\(name) conflict \(conflict.table) \(conflict.key) local=\(title(conflict.local)) "
                            + "server=\(title(conflict.server))")
                }
                return try await script.decide(conflicts)
            }
        }
        database = try await device.open()
    }

    func perform(_ step: Step) async throws {
        if let tokens = step.tokens { await script.give(tokens: tokens) }
        if let resolver = step.resolver { await script.resolve(resolver) }
        await log.write("\(name) \(try await line(step))")
    }

    private func line(_ step: Step) async throws -> String {
        if step.open == true {
            return "open \(word(try await database.status().state))"
        } else if let sql = step.execute {
            do {
                return "execute \(try await database.execute(sql, step.arguments ?? []).changedRows)"
            } catch {
                return "execute error \(word(error))"
            }
        } else if let count = step.fill {
            let rows = (0..<count).map {
                ["bulk-" + String(100_000 + $0).dropFirst(), "row \($0)", $0] as [any Rowtide.Bindable]
            }
            return
                "fill \(try await database.executeBatch("INSERT INTO notes (id, title, stars) VALUES (?, ?, ?)", rows))"
        } else if let sql = step.query {
            let rows = try await database.query(sql)
            let lines = rows.map { row in row.columns.indices.map { text(row[$0]) }.joined(separator: " | ") }
            return "query \(lines.joined(separator: "\n"))"
        } else if step.status == true {
            let status = try await database.status()
            return "status \(word(status.state)) pending=\(status.pendingRows)"
        } else if step.credentialsChanged == true {
            database.credentialsChanged()
            return "credentials_changed"
        } else if step.close == true {
            try await database.close()
            return "close"
        } else {
            let operation = try #require(step.operation)
            return "\(operation) \(await run(operation, cancelAt: step.cancelAt))"
        }
    }

    private func run(_ operation: String, cancelAt phase: String?) async -> String {
        var progress = database.progress.makeAsyncIterator()
        let running = Task { [database] in
            switch operation {
            case "attach": try await database.attach("ada")
            case "push": try await database.push()
            case "sync": try await database.sync()
            case "detach": try await database.detach()
            case "sync_then_detach": try await database.syncThenDetach()
            default: throw Failure("no such operation: \(operation)")
            }
        }
        if let phase {
            while let made = await progress.next() {
                if word(made.phase) == phase && made.rows > 0 && word(made.activity) == operation { break }
            }
            running.cancel()
            await log.write("\(name) progress \(phase)")
        }
        switch await running.result {
        case .success(let report):
            return "\(word(report.outcome)) pushed=\(report.pushedRows) pulled=\(report.pulledRows) "
                + "conflicts=\(report.conflicts)"
        case .failure(let error):
            return "error \(word(error))"
        }
    }
}

/// The name of a case in lowercase with underscores, without what it carries.
private func word(_ value: Any) -> String {
    if value is CancellationError { return "cancelled" }
    let name = Mirror(reflecting: value).children.first?.label ?? "\(value)"
    return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
}

private func title(_ row: Rowtide.RowValues?) -> String { row?["title"].map(text) ?? "-" }

private func text(_ value: Rowtide.Value) -> String {
    switch value {
    case .null: "NULL"
    case .integer(let integer): "\(integer)"
    case .real(let real): "\(real)"
    case .text(let text): text
    case .blob(let bytes): "\(bytes.count) bytes"
    }
}
