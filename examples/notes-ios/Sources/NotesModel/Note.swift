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
    /// Whether the server does not have it as it is here.
    public var unsent: Bool

    /// Pinned notes first, the newest first among them. Which rows are unsent is a view of Rowtide.
    static let all = """
        SELECT n.id, n.title, n.body, n.pinned, n.updated,
               (SELECT json_group_array(name) FROM (SELECT name FROM tags WHERE note_id = n.id ORDER BY name)) AS tags,
               EXISTS (SELECT 1 FROM _rowtide_row_status AS s
                       WHERE (s.table_name, s.key) = ('notes', n.id)
                          OR (s.table_name = 'tags' AND s.key LIKE n.id || '/%')) AS unsent
        FROM notes AS n
        ORDER BY n.pinned DESC, n.updated DESC, n.id
        """

    static let coding = Rowtide.Coding(dates: .millisecondsSince1970)
}
