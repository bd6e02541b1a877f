internal import RowtideBindings

extension Rowtide {
    /// The status: the current one at once, then whenever it may have changed. What was missed between two iterations is
    /// left out, never the newest.
    ///
    /// It ends with ``close()``, or when the Swift task that iterates is cancelled.
    public var statusChanges: Changes<Status> {
        Changes { [client] sink in try client.observeStatus(listener: StatusSink(sink)) }
    }

    /// Progress of long operations: the newest at once, where an operation has made some, then each step. What was missed
    /// between two iterations is left out, never the newest.
    ///
    /// It ends with ``close()``, or when the Swift task that iterates is cancelled.
    public var progress: Changes<Progress> {
        Changes { [client] sink in try client.observeProgress(listener: ProgressSink(sink)) }
    }

    /// Tables whose rows changed, after the commit, whoever wrote: the app, a download, a rebuild, a detach. The first
    /// element names all of them; what changed between two iterations comes in one.
    ///
    /// That a row was sent changes no row of a table: ``statusChanges`` tells of it.
    ///
    /// It ends with ``close()``, or when the Swift task that iterates is cancelled.
    public func changes(of tables: [String]) -> Changes<Set<String>> {
        Changes(merging: { $0.union($1) }) { [client] sink in
            try client.observeTables(tables: tables, listener: TablesSink(sink))
        }
    }

    /// Results of a query: at once, then after every commit that changed one of the tables, whoever wrote. A result that
    /// nobody took is left out, and the query does not run while nobody waits for it.
    ///
    /// That a row was sent is no such commit: a query that shows what is pending (`_rowtide_row_status`) has to run with
    /// ``statusChanges`` too.
    ///
    /// ```swift
    /// for try await notes in db.observe(["notes"], { try await $0.query(Note.self, "SELECT * FROM notes") }) { … }
    /// ```
    ///
    /// It ends with ``close()``, or when the Swift task that iterates is cancelled; it throws what the query throws.
    ///
    /// - Parameters:
    ///   - tables: Tables that the result depends on.
    ///   - query: Reads the result. It is not told what changed.
    public func observe<Result: Sendable>(
        _ tables: [String], _ query: @escaping @Sendable (Rowtide) async throws -> Result
    ) -> Results<Result> {
        Results(changes: changes(of: tables)) { try await query(self) }
    }

    /// A sequence of what changes; each iteration observes by itself.
    public struct Changes<Element: Sendable>: AsyncSequence, Sendable {
        private let merge: @Sendable (_ missed: Element, _ new: Element) -> Element
        private let observe: @Sendable (Mailbox<Element>) throws -> Observation

        init(
            merging merge: @escaping @Sendable (Element, Element) -> Element = { $1 },
            _ observe: @escaping @Sendable (Mailbox<Element>) throws -> Observation
        ) {
            self.merge = merge
            self.observe = observe
        }

        /// Begins to observe.
        public func makeAsyncIterator() -> Iterator {
            let mailbox = Mailbox(merge: merge)
            // A database that was closed has nothing to observe: the mailbox ends with its last sink.
            let observation = try? observe(mailbox)
            if observation == nil { mailbox.finish() }
            return Iterator(mailbox: mailbox, observation: observation)
        }

        /// Waits for one change after the other. Forgetting it ends the observation.
        public struct Iterator: AsyncIteratorProtocol {
            private let observed: Observed<Element>

            init(mailbox: Mailbox<Element>, observation: Observation?) {
                observed = Observed(mailbox: mailbox, observation: observation)
            }

            /// The next change; `nil` after ``Rowtide/Rowtide/close()`` and when the Swift task is cancelled.
            public mutating func next() async -> Element? {
                await observed.mailbox.next()
            }
        }
    }

    /// A sequence of results of a query that runs again when tables change.
    public struct Results<Element: Sendable>: AsyncSequence, Sendable {
        let changes: Changes<Set<String>>
        let query: @Sendable () async throws -> Element

        /// Begins to observe.
        public func makeAsyncIterator() -> Iterator {
            Iterator(changes: changes.makeAsyncIterator(), query: query)
        }

        /// Waits for one result after the other. Forgetting it ends the observation.
        public struct Iterator: AsyncIteratorProtocol {
            var changes: Changes<Set<String>>.Iterator
            let query: @Sendable () async throws -> Element

            /// The next result; `nil` after ``Rowtide/Rowtide/close()`` and when the Swift task is cancelled.
            ///
            /// - Throws: What the query throws.
            public mutating func next() async throws -> Element? {
                guard await changes.next() != nil else { return nil }
                return try await query()
            }
        }
    }
}

/// Ends the core's observation when the last copy of an iterator is gone.
private final class Observed<Element: Sendable>: Sendable {
    let mailbox: Mailbox<Element>
    let observation: Observation?

    init(mailbox: Mailbox<Element>, observation: Observation?) {
        self.mailbox = mailbox
        self.observation = observation
    }

    deinit { observation?.cancel() }
}
