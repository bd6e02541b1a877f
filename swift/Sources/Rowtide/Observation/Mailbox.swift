import Foundation

/// Holds what one reader has not taken yet, merged into one element: it never grows, whatever the pace of either side.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    private let merge: @Sendable (Element, Element) -> Element
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let lock = NSLock()
    // Guarded by the lock, which is why the class may be called Sendable.
    private var waiting: Element?

    init(merge: @escaping @Sendable (Element, Element) -> Element) {
        self.merge = merge
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func put(_ element: Element) {
        lock.withLock { waiting = waiting.map { merge($0, element) } ?? element }
        wake.yield()
    }

    /// No element comes any more; one that waits is still taken.
    func finish() { wake.finish() }

    /// The next element; `nil` at the end, and when the task is cancelled.
    func next() async -> Element? {
        var iterator = wakes.makeAsyncIterator()
        while await iterator.next() != nil {
            if let element = take() { return element }
        }
        return Task.isCancelled ? nil : take()
    }

    private func take() -> Element? {
        lock.withLock {
            defer { waiting = nil }
            return waiting
        }
    }
}
