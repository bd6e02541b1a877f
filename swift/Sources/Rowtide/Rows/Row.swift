import Foundation

extension Rowtide {
    /// One row of a result.
    public struct Row: Sendable, Hashable {
        let names: ColumnNames
        let values: ArraySlice<Value>

        init(names: ColumnNames, values: ArraySlice<Value>) {
            self.names = names
            self.values = values
        }

        /// Names of its columns, in the order of the query.
        public var columns: [String] { names.list }

        /// The value of a column; `nil` where the result has no such column. Of two columns with one name, the first.
        public subscript(column: String) -> Value? {
            names.places[column].map { self[$0] }
        }

        /// The value at a place, counted from 0.
        public subscript(place: Int) -> Value {
            values[values.startIndex + place]
        }

        /// The row as an instance of a `Decodable` type, whose properties have the names of columns.
        ///
        /// Columns that the type does not know are left out. A property whose type is no value of SQLite is read from
        /// JSON in a text.
        ///
        /// - Throws: `DecodingError`, which names the column.
        public func decode<T: Decodable>(_ type: T.Type = T.self, as coding: Coding = .standard) throws -> T {
            try T(from: RowDecoder(row: self, coding: coding))
        }

        /// Two rows are equal when columns and values are.
        public static func == (left: Row, right: Row) -> Bool {
            left.columns == right.columns && left.values == right.values
        }

        /// Hashes columns and values.
        public func hash(into hasher: inout Hasher) {
            hasher.combine(columns)
            hasher.combine(values)
        }
    }

    /// Names of a result's columns, shared by its rows.
    final class ColumnNames: Sendable {
        let list: [String]
        let places: [String: Int]

        init(_ list: [String]) {
            self.list = list
            places = Dictionary(list.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }
}

extension Collection<Rowtide.Row> {
    /// All rows as instances of a `Decodable` type; see ``Rowtide/Row/decode(_:as:)``.
    ///
    /// - Throws: `DecodingError`, which names the column.
    public func decode<T: Decodable>(_ type: T.Type = T.self, as coding: Rowtide.Coding = .standard) throws -> [T] {
        try map { try $0.decode(type, as: coding) }
    }
}
