import Foundation
import Rowtide
import Testing

@Suite("Two devices and a server")
struct SyncTests {
    @Test("what was written offline reaches the other device, and goes on both ways")
    func offlineWrites() async throws {
        let server = try Server()
        let (first, second) = (try Device(server), try Device(server))
        try await first.use { one in
            try await one.insertNotes(20)
            #expect(try await one.status().pendingRows == 20)
            #expect(try await one.attach("ada").outcome == .attached)
            #expect(try await one.sync().pushedRows == 20)
            try await second.use { two in
                let hydrated = try await two.attach("ada")
                #expect(hydrated.hydratedRows == 20)
                #expect(try await two.notes() == one.notes())
                try await two.execute("DELETE FROM notes WHERE id = ?", ["n3"])
                try await two.execute("UPDATE notes SET stars = 5 WHERE id = ?", ["n4"])
                #expect(try await two.sync().pushedRows == 2)
                #expect(try await one.sync().pulledRows == 2)
                #expect(try await two.notes() == one.notes())
                #expect(try await one.sync().outcome == .noChange)
                #expect(try await one.whyStuck() == nil)
            }
        }
    }

    @Test("the app's resolver decides all conflicts of a round with values")
    func resolver() async throws {
        let server = try Server()
        let asked = Asked()
        let first = try Device(server)
        let second = try Device(server) { options in
            options.tables = [Rowtide.Table("notes", key: "id", conflicts: .resolver, keepsBase: true)]
            options.resolver = { conflicts in
                await asked.add(conflicts)
                return conflicts.map { conflict in
                    guard var row = conflict.local, let theirs = conflict.server?["title"]?.string else {
                        return .acceptServer
                    }
                    row["title"] = .text("\(row["title"]?.string ?? "") and \(theirs)")
                    return .keepMerged(row)
                }
            }
        }
        try await first.use { one in
            try await one.insertNotes(3)
            try await one.attach("ada")
            try await one.sync()
            try await second.use { two in
                try await two.attach("ada")
                try await one.execute("UPDATE notes SET title = 'one'")
                try await one.sync()
                try await two.execute("UPDATE notes SET title = 'two'")
                #expect(try await two.sync().conflicts == 3)
                try await one.sync()
                #expect(try await one.notes().map(\.title) == Array(repeating: "two and one", count: 3))
                #expect(try await one.notes() == two.notes())
            }
        }
        let rounds = await asked.rounds
        #expect(rounds.map(\.count) == [3])
        #expect(rounds.first?.first?.base?["title"] == "0")
    }

    @Test("a resolver that throws leaves the rows pending")
    func resolverThrows() async throws {
        let server = try Server()
        let first = try Device(server)
        let second = try Device(server) { options in
            options.tables = [Rowtide.Table("notes", key: "id", conflicts: .resolver)]
            options.resolver = { _ in throw Failure("a secret of the app") }
        }
        try await first.use { one in
            try await one.insertNotes(1)
            try await one.attach("ada")
            try await one.sync()
            try await second.use { two in
                try await two.attach("ada")
                try await one.execute("UPDATE notes SET title = 'one'")
                try await one.sync()
                try await two.execute("UPDATE notes SET title = 'two'")
                let error = try await caught(RowtideError.self) { try await two.sync() }
                guard case .undecided(let text) = error else { throw error }
                #expect(text.contains("Failure") && !text.contains("secret"))
                #expect(try await two.status().pendingRows == 1)
            }
        }
    }

    @Test("columns merge by their rules")
    func merge() async throws {
        let server = try Server()
        let tables = [Rowtide.Table("notes", key: "id", conflicts: .merge(["stars": .sumOfDeltas]))]
        let (first, second) = (try Device(server) { $0.tables = tables }, try Device(server) { $0.tables = tables })
        try await first.use { one in
            try await one.insert(Note(id: "a", title: "A", stars: 10), into: "notes")
            try await one.attach("ada")
            try await one.sync()
            try await second.use { two in
                try await two.attach("ada")
                try await one.execute("UPDATE notes SET stars = stars + 1, title = 'one'")
                try await two.execute("UPDATE notes SET stars = stars + 2")
                try await one.sync()
                try await two.sync()
                #expect(try await two.notes() == [Note(id: "a", title: "one", stars: 13)])
            }
        }
    }

    @Test("a token that the server rejects is replaced, and the provider is told why")
    func tokenRefresh() async throws {
        let reasons = Reasons()
        let device = try Device(Server()) { options in
            options.tokens = { reason in
                await reasons.add(reason)
                return reason == .rejected ? Token.of("ada") : Token.of("ada").replacingOccurrences(of: ".", with: ".x")
            }
        }
        try await device.use { db in
            #expect(try await db.attach("ada").outcome == .attached)
            try await db.sync()
        }
        #expect(await reasons.all == [.firstUse, .rejected])
    }

    @Test("without a token the app hears what to do, and the text of its own errors stays with it")
    func noToken() async throws {
        let server = try Server()
        let denied = try Device(server) { $0.tokens = { _ in throw Rowtide.TokenError.denied("sign in again") } }
        try await denied.use { db in
            await #expect(throws: RowtideError.authentication("the token provider gave no token: sign in again")) {
                try await db.attach("ada")
            }
            let health = try await db.status().health
            #expect(health == .authRequired)
        }
        let broken = try Device(server) { $0.tokens = { _ in throw Failure("a secret") } }
        try await broken.use { db in
            let error = try await caught(RowtideError.self) { try await db.attach("ada") }
            guard case .authentication(let text) = error else { throw error }
            #expect(text.contains("Failure") && !text.contains("secret"))
        }
        let away = try Device(server) { $0.tokens = { _ in throw NSError(domain: NSURLErrorDomain, code: -1009) } }
        try await away.use { db in
            let error = try await caught(RowtideError.self) { try await db.attach("ada") }
            guard case .network = error else { throw error }
            #expect(error.isRetryable == true)
        }
    }

    @Test("without a server the rows wait, and the status says why")
    func noServer() async throws {
        let server = try Server()
        let device = try Device(server)
        try await device.use { db in
            try await db.attach("ada")
            try await db.insertNotes(2)
            server.stop()
            let error = try await caught(RowtideError.self) { try await db.sync() }
            guard case .network = error else { throw error }
            let status = try await db.status()
            #expect(status.health == .offline)
            #expect(status.pendingRows == 2)
            #expect(try await db.whyStuck() != nil)
        }
    }

    @Test("cancelled in the middle of an upload, a sync stops; the next one sends the rest, once")
    func cancelledUpload() async throws {
        let server = try Server()
        let gate = Gate(user: "ada")
        let (first, second) = (try Device(server, change: gated(gate)), try Device(server))
        try await first.use { one in
            try await one.attach("ada")
            try await one.insertNotes(100)
            try await cancelled(at: gate, after: 5) { try await one.sync() }
            #expect(try await one.status().pendingRows == 100)
            let state = try await one.status().state
            #expect(state == .uploading || state == .seeding)
            try await one.sync()
            #expect(try await one.status().pendingRows == 0)
            try await second.use { two in
                let report = try await two.attach("ada")
                #expect(report.hydratedRows == 100)
                #expect(try await two.notes() == one.notes())
            }
        }
    }

    @Test("cancelled in the middle of a first download, an attach stops; the next one goes on")
    func cancelledHydrate() async throws {
        let server = try Server()
        let gate = Gate(user: "ada")
        let (first, second) = (try Device(server), try Device(server, change: gated(gate)))
        try await first.use { one in
            try await one.attach("ada")
            try await one.insertNotes(100)
            try await one.sync()
            try await second.use { two in
                try await cancelled(at: gate, after: 5) { try await two.attach("ada") }
                #expect(try await two.notes().isEmpty)
                #expect(try await two.status().state == .hydrating)
                try await two.attach("ada")
                #expect(try await two.notes() == one.notes())
                #expect(try await two.sync().outcome == .noChange)
            }
        }
    }

    @Test("a task that is cancelled before it begins changes nothing")
    func cancelledBefore() async throws {
        try await Device(Server()).use { db in
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                await #expect(throws: CancellationError.self) { try await db.attach("ada") }
                await #expect(throws: CancellationError.self) { try await db.execute("DELETE FROM notes") }
                await #expect(throws: CancellationError.self) { try await db.query("SELECT 1") }
            }
            await task.value
            let state = try await db.status().state
            #expect(state == .anonymous)
        }
    }

    @Test("unsynced rows forbid to detach; afterwards the tables are empty")
    func detach() async throws {
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insertNotes(3)
            #expect(try await db.detach().outcome == .blockedUnsyncedData(rows: 3))
            #expect(try await db.notes().count == 3)
            #expect(try await db.syncThenDetach().outcome == .detached)
            #expect(try await db.notes().isEmpty)
            #expect(try await db.status().user == nil)
            let error = try await caught(RowtideError.self) { try await db.sync() }
            guard case .attachment = error else { throw error }
        }
    }

    @Test("a row that cannot travel waits in the inbox until it is mended or given up")
    func inbox() async throws {
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insert(Note(id: "good", title: "good"), into: "notes")
            try await db.execute("INSERT INTO notes (id, title, stars) VALUES ('bad', 'bad', 9e999)")
            #expect(try await db.sync().refusedRows == 1)
            let refused = try #require(try await db.refusedRows().first)
            #expect(refused.table == "notes" && refused.key == "bad" && refused.reason == .invalidValue)
            #expect(refused.content?["title"] == "bad")
            #expect(try await db.retryRefused(refused, changes: ["stars": 1]))
            #expect(try await db.sync().refusedRows == 0)
            #expect(try await db.discardRefused() == 0)
        }
    }

    @Test("a rebuild brings what the server has, and keeps what it does not have yet")
    func rebuild() async throws {
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insertNotes(3)
            try await db.sync()
            try await db.execute("UPDATE notes SET title = 'mine' WHERE id = 'n1'")
            #expect(try await db.rebuild().hydratedRows == 3)
            #expect(try await db.notes().map(\.title) == ["0", "mine", "2"])
            #expect(try await db.status().pendingRows == 1)
            #expect(try await db.sync().pushedRows == 1)
        }
    }

    @Test("a change that is given up makes room for what the server has")
    func discard() async throws {
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insertNotes(1)
            try await db.sync()
            try await db.execute("UPDATE notes SET stars = 9e999")
            #expect(try await db.sync().refusedRows == 1)
            let refused = try #require(try await db.refusedRows().first)
            #expect(try await db.discardRefused(refused))
            #expect(try await db.discardRefused(refused) == false)
            try await db.sync()
            #expect(try await db.notes() == [Note(id: "n0", title: "0", stars: 0)])
        }
    }

    @Test("the app's next version rebuilds a table, and what is written before and after is captured")
    func migrate() async throws {
        let server = try Server()
        let device = try Device(server)
        try await device.use { db in
            try await db.attach("ada")
            try await db.insertNotes(2)
            try await db.sync()
        }
        var options = device.options
        options.prepare = {
            try await $0.migrate(
                """
                UPDATE notes SET title = 'note ' || title;
                CREATE TABLE fresh (
                    id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL CHECK (title <> ''), stars INTEGER NOT NULL DEFAULT 0
                );
                INSERT INTO fresh SELECT id, title, stars FROM notes;
                DROP TABLE notes;
                ALTER TABLE fresh RENAME TO notes;
                """)
        }
        let next = try await Rowtide.open(device.path, options: options)
        try await next.execute("INSERT INTO notes (id, title) VALUES ('n2', 'new')")
        #expect(try await next.sync().pushedRows == 3)
        #expect(try await next.notes().map(\.title) == ["note 0", "note 1", "new"])
        try await next.close()
        try await Device(server).use { other in
            try await other.attach("ada")
            #expect(try await other.notes().map(\.title) == ["note 0", "note 1", "new"])
        }
    }

    @Test("a budget that is spent says what is left")
    func budget() async throws {
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insertNotes(10)
            let report = try await db.sync(for: .init(bytes: 1))
            #expect(
                report.outcome == .budgetSpent(pendingRows: 10, downloadLeft: false)
                    || report.outcome == .budgetSpent(pendingRows: 10, downloadLeft: true))
            #expect(try await db.sync(for: .init(seconds: 3600)).pushedRows == 10)
        }
    }

    @Test("the loop uploads and downloads by itself")
    func loop() async throws {
        let server = try Server()
        let (first, second) = (try Device(server), try Device(server))
        try await first.use { one in
            try await second.use { two in
                try await one.attach("ada")
                try await one.insertNotes(1)
                try await one.sync()
                try await two.attach("ada")
                two.start(.init(debounce: 0))
                one.start(.init(debounce: 0))
                try await one.execute("UPDATE notes SET title = 'by itself'")
                for try await notes in two.observe(["notes"], { try await $0.notes() })
                where notes.map(\.title) == ["by itself"] { break }
                one.stop()
                two.stop()
                #expect(try await one.status().automatic.running == false)
            }
        }
    }

    /// Begins an operation, cancels it while one of its requests is held, and expects it to say so.
    private func cancelled(
        at gate: Gate, after requests: Int, _ operation: @escaping @Sendable () async throws -> Rowtide.Report
    ) async throws {
        await gate.close(after: requests)
        let task = Task { try await operation() }
        await gate.waitForArrival()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        await gate.open()
    }

    /// Small chunks, and a request at the gate for each.
    private func gated(_ gate: Gate) -> (inout Rowtide.Options) -> Void {
        { options in
            options.tokens = { _ in await gate.token() }
            options.limits.uploadRows = 10
            options.limits.downloadRows = 10
        }
    }
}

private actor Asked {
    var rounds: [[Rowtide.Conflict]] = []
    func add(_ conflicts: [Rowtide.Conflict]) { rounds.append(conflicts) }
}

private actor Reasons {
    var all: [Rowtide.TokenReason] = []
    func add(_ reason: Rowtide.TokenReason) { all.append(reason) }
}
