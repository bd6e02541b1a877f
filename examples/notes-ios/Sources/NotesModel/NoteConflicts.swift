import Rowtide

/// A note's text.
public struct NoteText: Sendable, Hashable {
    public var title: String
    public var body: String

    public init(title: String, body: String) {
        self.title = title
        self.body = body
    }
}

/// Two devices wrote different texts for one note.
public struct Clash: Sendable, Hashable {
    public let mine: NoteText
    public let theirs: NoteText
}

/// What becomes of a clash.
public enum Choice: Sendable, Hashable {
    /// This device's text.
    case mine
    /// The other device's text.
    case theirs
    /// One below the other.
    case both
}

/// Decides a clash: a person, or a test. Sync waits for the answer; reading and writing does not.
public typealias Chooser = @Sendable (Clash) async throws -> Choice

/// Decides conflicts of notes column by column, from the row that both sides began with. Nobody is asked where only one
/// side changed the text. A note that was edited here and deleted there, or the other way round, stays.
struct NoteConflicts: Sendable {
    let chooser: Chooser

    func resolve(_ conflicts: [Rowtide.Conflict]) async throws -> [Rowtide.Decision] {
        var decisions: [Rowtide.Decision] = []
        for conflict in conflicts { decisions.append(try await resolve(conflict)) }
        return decisions
    }

    private func resolve(_ conflict: Rowtide.Conflict) async throws -> Rowtide.Decision {
        guard let mine = conflict.local else { return .acceptServer }
        guard let theirs = conflict.server else { return .keepLocal }
        let text = try await text(
            base: conflict.base.map(NoteText.init), mine: NoteText(mine), theirs: NoteText(theirs))
        var merged = theirs
        merged["title"] = .text(text.title)
        merged["body"] = .text(text.body)
        if mine["pinned"] != conflict.base?["pinned"] { merged["pinned"] = mine["pinned"] }
        merged["updated"] = .integer(max(mine["updated"]?.int64 ?? 0, theirs["updated"]?.int64 ?? 0))
        return .keepMerged(merged)
    }

    private func text(base: NoteText?, mine: NoteText, theirs: NoteText) async throws -> NoteText {
        if mine == theirs || mine == base { return theirs }
        if theirs == base { return mine }
        switch try await chooser(Clash(mine: mine, theirs: theirs)) {
        case .mine: return mine
        case .theirs: return theirs
        case .both: return NoteText(title: theirs.title, body: "\(theirs.body)\n\n\(mine.body)")
        }
    }
}

extension NoteText {
    init(_ row: Rowtide.RowValues) {
        self.init(title: row["title"]?.string ?? "", body: row["body"]?.string ?? "")
    }
}
