import Foundation
import Rowtide
import RowtideBackground
import Testing

@Suite("Sync in the background")
struct BackgroundTests {
    @Test("the system is told after the database was closed")
    func completed() async throws {
        let server = try Server()
        let device = try Device(server)
        try await device.use { db in
            try await db.attach("ada")
            try await db.insertNotes(3)
        }
        let task = GrantedTime()
        let (endings, ended) = AsyncStream.makeStream(of: BackgroundSync.Ending.self)
        BackgroundSync(open: { try await device.open() }, ended: { ended.yield($0) }).run(in: task)
        #expect(await task.completed() == true)
        var iterator = endings.makeAsyncIterator()
        guard case .synced(let report) = await iterator.next() else { throw Failure("the sync did not end well") }
        #expect(report.pushedRows == 3)
        let pending = try await device.use { try await $0.status().pendingRows }
        #expect(pending == 0)
    }

    @Test("time that the system takes back ends the sync; the next one goes on")
    func expired() async throws {
        let server = try Server()
        let gate = Gate(user: "ada")
        let device = try Device(server) { options in
            options.tokens = { _ in await gate.token() }
            options.limits.uploadRows = 10
        }
        try await device.use { db in
            try await db.attach("ada")
            try await db.insertNotes(50)
        }
        await gate.close(after: 4)
        let task = GrantedTime()
        let (endings, ended) = AsyncStream.makeStream(of: BackgroundSync.Ending.self)
        BackgroundSync(open: { try await device.open() }, ended: { ended.yield($0) }).run(in: task)
        await gate.waitForArrival()
        task.expire()
        #expect(await task.completed() == false)
        var iterator = endings.makeAsyncIterator()
        #expect(await iterator.next() == .expired)
        await gate.open()
        let outcome = try await device.use { try await $0.sync().outcome }
        #expect(outcome == .done)
    }

    @Test("a failure is told as the app's other errors are")
    func failed() async throws {
        let device = try Device(Server()) { $0.tokens = nil }
        guard case .failed(.attachment) = await BackgroundSync(open: { try await device.open() }).sync() else {
            return #expect(Bool(false), "a database without a user cannot sync")
        }
        guard case .failed(.internal(let text)) = await BackgroundSync(open: { throw Failure("secret") }).sync() else {
            return #expect(Bool(false), "what cannot be opened cannot sync")
        }
        #expect(!text.contains("secret"))
    }
}

/// A task of the system as a test grants it.
private final class GrantedTime: SystemTask, @unchecked Sendable {
    private let lock = NSLock()
    private var handler: (() -> Void)?
    private let (endings, ended) = AsyncStream.makeStream(of: Bool.self)

    var expirationHandler: (() -> Void)? {
        get { lock.withLock { handler } }
        set { lock.withLock { handler = newValue } }
    }

    func setTaskCompleted(success: Bool) { ended.yield(success) }

    func expire() { expirationHandler?() }

    func completed() async -> Bool? {
        var iterator = endings.makeAsyncIterator()
        return await iterator.next()
    }
}
