internal import RowtideBindings

extension Rowtide.Table {
    /// The tables that an annotated SQL schema marks for sync (`-- @@{ enableSync=true }`), in their order; the server wins
    /// their conflicts.
    ///
    /// - Throws: ``RowtideError/configuration(_:)``, with the line, for an annotation that no `CREATE TABLE` follows, or a
    ///   table without a key.
    public static func annotated(in schema: String) throws -> [Rowtide.Table] {
        do {
            return try tablesOfSchema(sql: schema).map { Rowtide.Table($0.name, key: $0.key) }
        } catch {
            throw RowtideError.of(error)
        }
    }
}
