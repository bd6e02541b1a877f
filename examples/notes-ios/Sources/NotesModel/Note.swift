import Foundation
import Rowtide

/// A note as the list shows it.
public struct Note: Codable, Sendable, Hashable, Identifiable {
    public var id: String
    public var title: String
    public var body: String
    public var pinned: Bool
    /// Each one word, in alphabetical order.
    public var tags: [String]
    public var updated: Date

    /// Pinned notes first, the newest first among them.
    static let all = """
        SELECT n.id, n.title, n.body, n.pinned, n.updated,
               (SELECT json_group_array(name) FROM (SELECT name FROM tags WHERE note_id = n.id ORDER BY name)) AS tags
        FROM notes AS n
        ORDER BY n.pinned DESC, n.updated DESC, n.id
        """

    /// Keys of the notes that the server does not have as they are here, or whose tags it does not have: a view of Rowtide.
    static let unsent = """
        SELECT key FROM _rowtide_row_status WHERE table_name = 'notes'
        UNION
        SELECT substr(key, 1, instr(key, '/') - 1) FROM _rowtide_row_status WHERE table_name = 'tags'
        """

    static let coding = Rowtide.Coding(dates: .millisecondsSince1970)
}
