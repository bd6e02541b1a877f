import Foundation

extension Rowtide {
    /// A value as SQLite stores it.
    ///
    /// Literals can be written as they are: `["n1", 3, 0.5, nil]`. What else can be an argument says ``Bindable``.
    public enum Value: Sendable, Hashable {
        /// SQL `NULL`.
        case null
        /// A 64-bit integer; it arrives at other devices with all of its bits.
        case integer(Int64)
        /// A double.
        case real(Double)
        /// Text.
        case text(String)
        /// Bytes.
        case blob(Data)
    }
}

extension Rowtide.Value {
    /// Whether this is `NULL`.
    public var isNull: Bool { self == .null }

    /// The integer, where this is one; also a real number without a fraction that fits.
    public var int64: Int64? {
        switch self {
        case .integer(let integer): integer
        case .real(let real): Int64(exactly: real)
        default: nil
        }
    }

    /// The number, where this is one.
    public var double: Double? {
        switch self {
        case .real(let real): real
        case .integer(let integer): Double(integer)
        default: nil
        }
    }

    /// The text, where this is one.
    public var string: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// The bytes, where this is a blob.
    public var data: Data? {
        if case .blob(let bytes) = self { bytes } else { nil }
    }

    /// The integer as a truth value, where this is one: everything but 0 is true.
    public var bool: Bool? { int64.map { $0 != 0 } }

    /// The UUID, where this is its text or its 16 bytes.
    public var uuid: UUID? {
        switch self {
        case .text(let text):
            return UUID(uuidString: text)
        case .blob(let bytes) where bytes.count == 16:
            var uuid = UUID().uuid
            withUnsafeMutableBytes(of: &uuid) { target in _ = bytes.copyBytes(to: target) }
            return UUID(uuid: uuid)
        default:
            return nil
        }
    }

    /// The 16 bytes of a UUID, for a column that is a blob.
    public static func blob(of uuid: UUID) -> Self {
        .blob(withUnsafeBytes(of: uuid.uuid) { Data($0) })
    }

    /// Its kind in one word, for messages: values themselves are never written into one.
    var kind: String {
        switch self {
        case .null: "NULL"
        case .integer: "an integer"
        case .real: "a real number"
        case .text: "a text"
        case .blob: "a blob"
        }
    }
}

extension Rowtide.Value: ExpressibleByNilLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByBooleanLiteral
{
    /// `NULL`.
    public init(nilLiteral: ()) { self = .null }

    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }

    /// A real number.
    public init(floatLiteral value: Double) { self = .real(value) }

    /// A text.
    public init(stringLiteral value: String) { self = .text(value) }

    /// 1 or 0.
    public init(booleanLiteral value: Bool) { self = .integer(value ? 1 : 0) }
}
