import Foundation
import Rowtide
import Testing

/// `ROWTIDE_LEAK_CYCLES` and `ROWTIDE_LEAK_EVENTS` say how many; a smaller number always runs.
///
/// Serialised: threads, descriptors and memory are those of the whole process.
@Suite("Nothing is left behind", .serialized, .enabled(if: Footprint.isKnown))
struct LeakTests {
    @Test("by opening and closing")
    func cycles() async throws {
        let device = try Device(Server())
        let cycle: @Sendable () async throws -> Void = {
            let db = try await device.open()
            var changes = db.changes(of: ["notes"]).makeAsyncIterator()
            _ = await changes.next()
            _ = try await db.notes()
            try await db.close()
        }
        try await leavesNothing(times: number("ROWTIDE_LEAK_CYCLES", else: 200), cycle)
    }

    @Test("by opening and forgetting")
    func forgotten() async throws {
        let device = try Device(Server())
        try await leavesNothing(times: number("ROWTIDE_LEAK_CYCLES", else: 200) / 10) {
            // Who forgets a database is not told when its file is free: the next opening waits for it.
            while true {
                do {
                    _ = try await device.open().status()
                    return
                } catch RowtideError.alreadyOwned {
                    await Task.yield()
                }
            }
        }
    }

    @Test("by observed events")
    func events() async throws {
        try await Device(Server()).use { db in
            try await db.insertNotes(1)
            var changes = db.changes(of: ["notes"]).makeAsyncIterator()
            _ = await changes.next()
            var status = db.statusChanges.makeAsyncIterator()
            _ = await status.next()
            let events = number("ROWTIDE_LEAK_EVENTS", else: 2_000)
            for round in 0..<2 {
                let before = Footprint.now
                for _ in 0..<(round == 0 ? events / 10 : events) {
                    try await db.execute("UPDATE notes SET stars = stars + 1")
                    _ = await changes.next()
                }
                if round == 1 { Footprint.now.expectNoMore(than: before, after: events) }
            }
            _ = await status.next()
        }
    }

    @Test("by operations that are cancelled")
    func cancelled() async throws {
        try await Device(Server()).use { db in
            try await leavesNothing(times: number("ROWTIDE_LEAK_CYCLES", else: 200)) {
                let task = Task { _ = try await db.attach("ada") }
                task.cancel()
                _ = await task.result
            }
        }
    }

    /// Repeats a body: the first tenth warms caches and pools up, the rest must leave nothing.
    private func leavesNothing(times: Int, _ body: @Sendable () async throws -> Void) async throws {
        for _ in 0..<times / 10 { try await body() }
        let before = Footprint.now
        for _ in 0..<times { try await body() }
        Footprint.now.expectNoMore(than: before, after: times)
    }

    private func number(_ name: String, else few: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? few
    }
}

/// What the process holds, as Linux tells it.
private struct Footprint {
    let threads: Int
    let descriptors: Int
    let kilobytes: Int

    static var isKnown: Bool { FileManager.default.fileExists(atPath: "/proc/self/status") }

    static var now: Footprint {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        func field(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return Int(line.filter(\.isNumber)) ?? -1
        }
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? -1
        return Footprint(threads: field("Threads"), descriptors: descriptors, kilobytes: field("VmRSS"))
    }

    /// A thread of a database ends a moment after it was closed, and the allocator keeps some of what it got.
    func expectNoMore(than before: Footprint, after count: Int) {
        let told =
            "threads \(before.threads) → \(threads), descriptors \(before.descriptors) → \(descriptors), "
            + "kB \(before.kilobytes) → \(kilobytes) after \(count)"
        print(told)
        #expect(threads <= before.threads + 8, "\(told)")
        #expect(descriptors <= before.descriptors + 8, "\(told)")
        #expect(kilobytes <= before.kilobytes + 8_192, "\(told)")
    }
}
