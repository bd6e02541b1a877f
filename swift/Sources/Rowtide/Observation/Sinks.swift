internal import RowtideBindings

// What the core calls. It gives a listener back when its observation or its database has ended: then the mailbox ends.

final class StatusSink: StatusListener {
    private let mailbox: Mailbox<Rowtide.Status>

    init(_ mailbox: Mailbox<Rowtide.Status>) { self.mailbox = mailbox }
    deinit { mailbox.finish() }

    func onStatus(status: RowtideBindings.Status) { mailbox.put(Rowtide.Status(status)) }
}

final class ProgressSink: ProgressListener {
    private let mailbox: Mailbox<Rowtide.Progress>

    init(_ mailbox: Mailbox<Rowtide.Progress>) { self.mailbox = mailbox }
    deinit { mailbox.finish() }

    func onProgress(progress: RowtideBindings.Progress) { mailbox.put(Rowtide.Progress(progress)) }
}

final class TablesSink: TablesListener {
    private let mailbox: Mailbox<Set<String>>

    init(_ mailbox: Mailbox<Set<String>>) { self.mailbox = mailbox }
    deinit { mailbox.finish() }

    func onTablesChanged(tables: [String]) { mailbox.put(Set(tables)) }
}

final class LogLines: LogSink {
    private let sink: @Sendable (Rowtide.LogLine) -> Void

    init(_ sink: @escaping @Sendable (Rowtide.LogLine) -> Void) { self.sink = sink }

    func onLine(line: RowtideBindings.LogLine) {
        sink(Rowtide.LogLine(level: Rowtide.LogLevel(line.level), target: line.target, message: line.message))
    }
}
