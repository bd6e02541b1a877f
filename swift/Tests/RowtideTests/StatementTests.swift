import Foundation
import Rowtide
import Testing

@Suite("Statements")
struct StatementTests {
    @Test("all kinds of values arrive as they were written")
    func values() async throws {
        let values: [Rowtide.Value] = [
            .null, .integer(.min), .integer(.max), .real(.leastNonzeroMagnitude), .real(-0.0), "", "ä\u{0}🌊",
            .blob(Data()), .blob(Data([0, 1, 255])),
        ]
        try await Device(Server()).use { db in
            let marks = values.map { _ in "?" }.joined(separator: ", ")
            let row = try await db.first("SELECT \(marks)", values)
            #expect(row.map { row in values.indices.map { row[$0] } } == values)
        }
    }

    @Test("a result of many pages has every row once and in order")
    func pages() async throws {
        try await Device(Server()).use { db in
            try await db.insertNotes(10_000)
            let filler = String(repeating: "x", count: 200)
            var expected = 0
            for try await row in db.rows("SELECT CAST(title AS INTEGER) AS n, ? FROM notes ORDER BY n", [filler]) {
                #expect(row["n"] == .integer(Int64(expected)))
                expected += 1
            }
            #expect(expected == 10_000)
        }
    }

    @Test("a query that nobody reads on holds nothing up")
    func abandonedQuery() async throws {
        try await Device(Server()).use { db in
            try await db.insertNotes(10_000)
            for _ in 0..<50 {
                for try await _ in db.rows("SELECT *, zeroblob(1000) FROM notes") { break }
            }
            #expect(try await db.first(Int.self, "SELECT count(*) FROM notes") == 10_000)
        }
    }

    @Test("a batch is written whole or not at all")
    func batch() async throws {
        try await Device(Server()).use { db in
            let insert = "INSERT INTO notes (id, title) VALUES (?, ?)"
            let written = try await db.executeBatch(insert, [["a", "A"], ["b", "B"]])
            #expect(written == 2)
            await #expect(throws: RowtideError.self) {
                try await db.executeBatch(insert, [["c", "C"], ["a", "again"]])
            }
            #expect(try await db.notes().map(\.id) == ["a", "b"])
            await #expect(throws: RowtideError.configuration("the lists of a batch have different lengths")) {
                try await db.executeBatch(insert, [["d", "D"], ["e"]])
            }
            #expect(try await db.executeBatch(insert, []) == 0)
        }
    }

    @Test("a row that is there is kept, or updated where it is named")
    func existingRow() async throws {
        try await Device(Server()).use { db in
            try await db.insert(Note(id: "a", title: "first"), into: "notes")
            try await db.insert(Note(id: "a", title: "second"), into: "notes", existing: .keep)
            #expect(try await db.notes() == [Note(id: "a", title: "first")])
            try await db.insert(Note(id: "a", title: "third", stars: 3), into: "notes", existing: .update(key: "id"))
            #expect(try await db.notes() == [Note(id: "a", title: "third", stars: 3)])
            await #expect(throws: RowtideError.self) { try await db.insert(Note(id: "a", title: ""), into: "notes") }
        }
    }

    @Test("a transaction is committed when its body returns, and sees its own writes")
    func commit() async throws {
        try await Device(Server()).use { db in
            let count = try await db.transaction { transaction in
                try await transaction.insert(Note(id: "a", title: "A"), into: "notes")
                return try await transaction.first(Int.self, "SELECT count(*) FROM notes")
            }
            #expect(count == 1)
            #expect(try await db.notes().count == 1)
        }
    }

    @Test("a transaction is rolled back when its body throws, and when its task is cancelled")
    func rollback() async throws {
        try await Device(Server()).use { db in
            await #expect(throws: Failure.self) {
                try await db.transaction { transaction in
                    try await transaction.insert(Note(id: "a", title: "A"), into: "notes")
                    throw Failure("no")
                }
            }
            let cancelled = Task {
                try await db.transaction { transaction in
                    try await transaction.insert(Note(id: "b", title: "B"), into: "notes")
                    withUnsafeCurrentTask { $0?.cancel() }
                }
            }
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            try await db.insert(Note(id: "c", title: "C"), into: "notes")
            #expect(try await db.notes().map(\.id) == ["c"])
        }
    }

    @Test("a transaction that outlives its deadline changes nothing")
    func deadline() async throws {
        try await Device(Server()).use { db in
            let error = try await caught(RowtideError.self) {
                try await db.transaction(deadline: 0) { transaction in
                    try await transaction.insert(Note(id: "a", title: "A"), into: "notes")
                }
            }
            guard case .database = error else { throw error }
            #expect(try await db.notes().isEmpty)
        }
    }

    @Test("a second owner of the file is refused at once")
    func secondOwner() async throws {
        let device = try Device(Server())
        try await device.use { _ in
            let error = try await caught(RowtideError.self) { try await device.open() }
            guard case .alreadyOwned = error else { throw error }
        }
    }

    @Test("a database that could not be opened is free again")
    func failedOpening() async throws {
        let broken = try Device(Server()) { $0.prepare = { _ in throw Failure("not now") } }
        await #expect(throws: Failure.self) { try await broken.open() }
        let unprepared = try Device(Server()) { $0.prepare = nil }
        for _ in 0..<2 {
            let error = try await caught(RowtideError.self) { try await unprepared.open() }
            guard case .configuration(let text) = error else { throw error }
            #expect(text.contains("notes"))
        }
    }

    @Test("SQLite's errors name the statement's fault; a closed database says so")
    func errors() async throws {
        let device = try Device(Server())
        let db = try await device.open()
        let error = try await caught(RowtideError.self) { try await db.query("SELECT nothing FROM notes") }
        #expect(error.message.contains("nothing") == true)
        try await db.close()
        try await db.close()
        let closed = try await caught(RowtideError.self) { try await db.status() }
        guard case .internal = closed else { throw closed }
    }

    @Test("Rowtide leaves a file as it was")
    func uninstall() async throws {
        let device = try Device(Server())
        try await device.use { try await $0.insertNotes(3) }
        #expect(try await Rowtide.uninstall(device.path))
        #expect(try await Rowtide.uninstall(device.path) == false)
    }

    @Test("a schema file names its tables")
    func annotated() throws {
        let schema = """
            -- @@{ enableSync=true }
            CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT);
            """
        #expect(try Rowtide.Table.annotated(in: schema) == [Rowtide.Table("notes", key: "id")])
        #expect(throws: RowtideError.self) { try Rowtide.Table.annotated(in: "-- @@{ enableSync=true }") }
    }
}
