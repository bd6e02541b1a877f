import Foundation
import Rowtide
import Testing

@Suite("Observation")
struct ObservationTests {
    @Test("a query is answered at once, and again after each commit, whoever wrote")
    func query() async throws {
        let server = try Server()
        let (first, second) = (try Device(server), try Device(server))
        try await first.use { one in
            try await one.attach("ada")
            try await one.insertNotes(1)
            try await one.sync()
            try await second.use { two in
                var results = two.observe(["notes"]) { try await $0.notes().count }.makeAsyncIterator()
                #expect(try await results.next() == 0)
                try await two.insert(Note(id: "here", title: "here"), into: "notes")
                #expect(try await results.next() == 1)
                try await two.attach("ada")
                #expect(try await results.next() == 2)
            }
        }
    }

    @Test("changes that nobody took come in one, and other tables are not heard of")
    func merged() async throws {
        let device = try Device(Server()) { options in
            options.prepare = {
                try await $0.executeScript(Device.schema + "CREATE TABLE other (n); CREATE TABLE third (n)")
            }
        }
        try await device.use { db in
            var changes = db.changes(of: ["notes", "other"]).makeAsyncIterator()
            #expect(await changes.next() == ["notes", "other"])
            var third = db.changes(of: ["third"]).makeAsyncIterator()
            #expect(await third.next() == ["third"])
            try await db.insertNotes(1)
            try await db.execute("INSERT INTO other VALUES (1)")
            try await db.execute("INSERT INTO third VALUES (1)")
            // Calls of the app come in order, so both changes are in the mailbox when the third is heard of.
            #expect(await third.next() == ["third"])
            var heard: Set<String> = []
            while heard != ["notes", "other"] { heard.formUnion(try #require(await changes.next())) }
        }
    }

    @Test("the status is told at once and after each change")
    func status() async throws {
        try await Device(Server()).use { db in
            var changes = db.statusChanges.makeAsyncIterator()
            #expect(await changes.next()?.state == .anonymous)
            try await db.attach("ada")
            while let status = await changes.next(), status.user != "ada" {}
            #expect(try await db.status().user == "ada")
            db.start()
            while let status = await changes.next(), !status.automatic.running {}
            db.pause(.uploads)
            while let status = await changes.next(), status.automatic.paused != [.uploads] {}
            db.resume(.uploads)
            db.setConnectivity(.metered)
            while let status = await changes.next(), status.automatic.connectivity != .metered {}
            db.stop()
        }
    }

    @Test("an upload tells its progress to the last row")
    func progress() async throws {
        try await Device(Server()) { $0.limits.uploadRows = 10 }.use { db in
            try await db.attach("ada")
            try await db.insertNotes(50)
            let progress = db.progress
            let last = Task {
                for await step in progress where step.phase == .upload && step.rows == 50 { return step }
                throw Failure("the progress ended early")
            }
            try await db.sync()
            let step = try await last.value
            #expect(step.activity == .sync)
            #expect(step.totalRows == 50)
        }
    }

    @Test("closing the database ends all of them")
    func closing() async throws {
        let device = try Device(Server())
        let db = try await device.open()
        let tasks = [
            Task { for await _ in db.statusChanges {} },
            Task { for await _ in db.progress {} },
            Task { for await _ in db.changes(of: ["notes"]) {} },
        ]
        try await db.close()
        for task in tasks { await task.value }
        for await _ in db.statusChanges { Issue.record("a closed database has no status") }
    }

    @Test("cancelling the task that waits ends it")
    func cancelling() async throws {
        try await Device(Server()).use { db in
            let task = Task {
                for await _ in db.changes(of: ["notes"]) { withUnsafeCurrentTask { $0?.cancel() } }
            }
            await task.value
        }
    }

    @Test("a query that throws ends its observation with the error")
    func throwing() async throws {
        try await Device(Server()).use { db in
            await #expect(throws: RowtideError.self) {
                for try await _ in db.observe(["notes"], { try await $0.query("SELECT nothing") }) {}
            }
        }
    }

    @Test("the log has operations and no row contents")
    func log() async throws {
        let (lines, sink) = AsyncStream.makeStream(of: Rowtide.LogLine.self)
        Rowtide.log(.trace) { sink.yield($0) }
        try await Device(Server()).use { db in
            try await db.attach("ada")
            try await db.insert(Note(id: "key", title: "a secret note"), into: "notes")
            try await db.sync()
        }
        Rowtide.log(.off)
        sink.finish()
        for await line in lines {
            #expect(!line.message.contains("secret note"))
        }
    }
}
