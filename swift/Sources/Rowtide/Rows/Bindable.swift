import Foundation

extension Rowtide {
    /// What can be an argument of a statement. `nil` is `NULL`.
    ///
    /// Dates have no form of their own in SQLite: say which one you mean, with ``Coding`` or by hand.
    public protocol Bindable: Sendable {
        /// The value that SQLite gets.
        var sqlValue: Value { get }
    }

    /// Arguments of a statement, in the order of its question marks.
    public typealias Arguments = [(any Bindable)?]
}

extension Rowtide.Value: Rowtide.Bindable {
    /// Itself.
    public var sqlValue: Rowtide.Value { self }
}

extension String: Rowtide.Bindable {
    /// A text.
    public var sqlValue: Rowtide.Value { .text(self) }
}

extension Int: Rowtide.Bindable {
    /// An integer.
    public var sqlValue: Rowtide.Value { .integer(Int64(self)) }
}

extension Int64: Rowtide.Bindable {
    /// An integer.
    public var sqlValue: Rowtide.Value { .integer(self) }
}

extension Int32: Rowtide.Bindable {
    /// An integer.
    public var sqlValue: Rowtide.Value { .integer(Int64(self)) }
}

extension Bool: Rowtide.Bindable {
    /// 1 or 0.
    public var sqlValue: Rowtide.Value { .integer(self ? 1 : 0) }
}

extension Double: Rowtide.Bindable {
    /// A real number.
    public var sqlValue: Rowtide.Value { .real(self) }
}

extension Data: Rowtide.Bindable {
    /// A blob.
    public var sqlValue: Rowtide.Value { .blob(self) }
}

extension UUID: Rowtide.Bindable {
    /// Its text in lowercase, as keys travel. Where the column is a blob, use ``Rowtide/Value/blob(of:)``.
    public var sqlValue: Rowtide.Value { .text(uuidString.lowercased()) }
}

extension Rowtide.Arguments {
    /// The arguments as SQLite gets them.
    var values: [Rowtide.Value] { map { $0?.sqlValue ?? .null } }
}
