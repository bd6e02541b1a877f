import Foundation

/// Reads a type's properties from the columns of one row.
struct RowDecoder: Decoder {
    let row: Rowtide.Row
    let coding: Rowtide.Coding
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RowKeys(row: row, coding: coding))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw DecodingError.typeMismatch(
            [Any].self, .init(codingPath: [], debugDescription: "A row has names, so decode a type with properties."))
    }

    /// A row of one column is its value: `decode(Int.self)` of a count.
    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        guard row.values.count == 1 else {
            let text = "The row has \(row.values.count) columns; decode a type with properties."
            throw DecodingError.typeMismatch(Any.self, .init(codingPath: [], debugDescription: text))
        }
        return ValueDecoder(value: row[0], coding: coding, codingPath: [])
    }
}

private struct RowKeys<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let row: Rowtide.Row
    let coding: Rowtide.Coding
    let codingPath: [any CodingKey] = []

    var allKeys: [Key] { row.columns.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool { row[coding.column(key)] != nil }

    func decodeNil(forKey key: Key) throws -> Bool { try value(key).isNull }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try ValueDecoder(value: value(key), coding: coding, codingPath: [key]).decode(type)
    }

    // The property's type says whether NULL is allowed.
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard let value = row[coding.column(key)], !value.isNull else { return nil }
        return try ValueDecoder(value: value, coding: coding, codingPath: [key]).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try ValueDecoder(value: value(key), coding: coding, codingPath: [key]).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try ValueDecoder(value: value(key), coding: coding, codingPath: [key]).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { RowDecoder(row: row, coding: coding) }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        ValueDecoder(value: try value(key), coding: coding, codingPath: [key])
    }

    private func value(_ key: Key) throws -> Rowtide.Value {
        guard let value = row[coding.column(key)] else {
            let text = "The result has no column \(coding.column(key))."
            throw DecodingError.keyNotFound(key, .init(codingPath: [], debugDescription: text))
        }
        return value
    }
}

/// Reads one value: as itself, or as JSON where the type has parts.
private struct ValueDecoder: Decoder, SingleValueDecodingContainer {
    let value: Rowtide.Value
    let coding: Rowtide.Coding
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        try json().container(keyedBy: type)
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try json().unkeyedContainer() }

    func decodeNil() -> Bool { value.isNull }

    func decode(_ type: Bool.Type) throws -> Bool { try found(value.bool, type) }
    func decode(_ type: String.Type) throws -> String { try found(value.string, type) }
    func decode(_ type: Double.Type) throws -> Double { try found(value.double, type) }
    func decode(_ type: Float.Type) throws -> Float { Float(try found(value.double, type)) }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let special = try special(type) { return try found(special as? T, type) }
        return try T(from: self)
    }

    /// Types whose own coding knows nothing of columns. `nil` where `type` is none of them.
    private func special(_ type: any Decodable.Type) throws -> Any? {
        switch type {
        case is Data.Type: try found(value.data, type)
        case is Date.Type: try found(coding.date(value), type)
        case is UUID.Type: try found(value.uuid, type)
        case is URL.Type: try found(value.string.flatMap(URL.init(string:)), type)
        case is Decimal.Type: try found(decimal, type)
        default: nil
        }
    }

    private var decimal: Decimal? {
        switch value {
        case .text(let text): Decimal(string: text, locale: Locale(identifier: "en_US_POSIX"))
        case .integer(let integer): Decimal(integer)
        case .real(let real): Decimal(real)
        default: nil
        }
    }

    private func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        try found(value.int64.flatMap(T.init(exactly:)), type)
    }

    private func found<T>(_ converted: T?, _ type: Any.Type) throws -> T {
        if let converted { return converted }
        let text = "The column holds \(value.kind), which is no \(type)."
        let context = DecodingError.Context(codingPath: codingPath, debugDescription: text)
        throw value.isNull ? DecodingError.valueNotFound(type, context) : DecodingError.typeMismatch(type, context)
    }

    /// A decoder of the JSON in the text.
    private func json() throws -> any Decoder {
        guard let text = value.string else {
            let reason = "The column holds \(value.kind), not JSON in a text."
            throw DecodingError.typeMismatch(String.self, .init(codingPath: codingPath, debugDescription: reason))
        }
        return try JSONDecoder().decode(Borrowed.self, from: Data(text.utf8)).decoder
    }

    private struct Borrowed: Decodable {
        let decoder: any Decoder
        init(from decoder: any Decoder) { self.decoder = decoder }
    }
}
