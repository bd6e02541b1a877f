import Foundation

extension Rowtide.Coding {
    /// The properties of a type as columns and values, in their order. `nil` is `NULL`.
    ///
    /// - Throws: `EncodingError` where the type has no properties, or an integer does not fit into 64 bits.
    public func columns<T: Encodable>(of row: T) throws -> [(name: String, value: Rowtide.Value)] {
        let written = RowEncoder.Written()
        // The JSON is thrown away: it lends the containers for what cannot be a column, so that the refusal is an error.
        _ = try JSONEncoder().encode(
            Lent { json in
                try row.encode(to: RowEncoder(coding: self, written: written, json: json))
                // An encoder that was not used is an error of its own.
                if written.refusal == nil { _ = json.container(keyedBy: AnyKey.self) }
            })
        if let refusal = written.refusal {
            throw EncodingError.invalidValue(row, .init(codingPath: [], debugDescription: refusal))
        }
        return written.columns
    }

    /// One property as a value: as itself, or as JSON where its type has parts.
    func value<T: Encodable>(_ value: T, at path: [any CodingKey]) throws -> Rowtide.Value {
        switch value {
        case let known as Date: return self.value(known)
        case let known as UUID: return self.value(known)
        case let known as Data: return .blob(known)
        case let known as URL: return .text(known.absoluteString)
        case let known as Decimal: return .text(known.description)
        default: break
        }
        let written = ValueEncoder.Written()
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = try encoder.encode(
            Lent { json in
                try value.encode(to: ValueEncoder(coding: self, written: written, json: json, codingPath: path))
                if written.value != nil { _ = json.container(keyedBy: AnyKey.self) }
            })
        return written.value ?? .text(String(decoding: json, as: UTF8.self))
    }
}

/// Lends out the encoder that encodes it.
private struct Lent: Encodable {
    let use: (any Encoder) throws -> Void
    init(_ use: @escaping (any Encoder) throws -> Void) { self.use = use }
    func encode(to encoder: any Encoder) throws { try use(encoder) }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// Writes a type's properties as the columns of one row.
private struct RowEncoder: Encoder {
    final class Written {
        var columns: [(name: String, value: Rowtide.Value)] = []
        var refusal: String?
    }

    let coding: Rowtide.Coding
    let written: Written
    let json: any Encoder
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(RowKeys(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        refuse("A row has names, so encode a type with properties.")
        return json.unkeyedContainer()
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        refuse("A row has names, so encode a type with properties.")
        return json.singleValueContainer()
    }

    func refuse(_ text: String) { written.refusal = text }
}

private struct RowKeys<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: RowEncoder
    let codingPath: [any CodingKey] = []

    func encodeNil(forKey key: Key) { add(.null, key) }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        add(try encoder.coding.value(value, at: [key]), key)
    }

    // The synthesised coding calls one of these for an optional; the protocol's own would leave the column out.
    func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try optional(value, key) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try optional(value, key) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        refuseNested(key)
        var scratch = encoder.json.container(keyedBy: Key.self)
        return scratch.nestedContainer(keyedBy: type, forKey: key)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        refuseNested(key)
        var scratch = encoder.json.container(keyedBy: Key.self)
        return scratch.nestedUnkeyedContainer(forKey: key)
    }

    // The properties of a superclass are columns of the same row.
    func superEncoder() -> any Encoder { encoder }
    func superEncoder(forKey key: Key) -> any Encoder { encoder }

    private func refuseNested(_ key: Key) {
        encoder.refuse("\(key.stringValue) writes a container of its own; give it a type with its own coding.")
    }

    private func optional<T: Encodable>(_ value: T?, _ key: Key) throws {
        if let value { try encode(value, forKey: key) } else { encodeNil(forKey: key) }
    }

    private func add(_ value: Rowtide.Value, _ key: Key) {
        encoder.written.columns.append((encoder.coding.column(key), value))
    }
}

/// Writes one value; what has parts goes on to the JSON.
private struct ValueEncoder: Encoder, SingleValueEncodingContainer {
    final class Written {
        var value: Rowtide.Value?
    }

    let coding: Rowtide.Coding
    let written: Written
    let json: any Encoder
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        json.container(keyedBy: type)
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer { json.unkeyedContainer() }
    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() { written.value = .null }
    func encode(_ value: Bool) { written.value = .integer(value ? 1 : 0) }
    func encode(_ value: String) { written.value = .text(value) }
    func encode(_ value: Double) { written.value = .real(value) }
    func encode(_ value: Float) { written.value = .real(Double(value)) }
    func encode(_ value: Int) throws { try integer(value) }
    func encode(_ value: Int8) throws { try integer(value) }
    func encode(_ value: Int16) throws { try integer(value) }
    func encode(_ value: Int32) throws { try integer(value) }
    func encode(_ value: Int64) throws { try integer(value) }
    func encode(_ value: UInt) throws { try integer(value) }
    func encode(_ value: UInt8) throws { try integer(value) }
    func encode(_ value: UInt16) throws { try integer(value) }
    func encode(_ value: UInt32) throws { try integer(value) }
    func encode(_ value: UInt64) throws { try integer(value) }

    func encode<T: Encodable>(_ value: T) throws { written.value = try coding.value(value, at: codingPath) }

    private func integer<T: FixedWidthInteger>(_ value: T) throws {
        guard let integer = Int64(exactly: value) else {
            let text = "SQLite's integers have 64 bits with a sign."
            throw EncodingError.invalidValue(value, .init(codingPath: codingPath, debugDescription: text))
        }
        written.value = .integer(integer)
    }
}
