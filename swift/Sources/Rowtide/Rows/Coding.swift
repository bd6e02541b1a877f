import Foundation

extension Rowtide {
    /// How properties of Swift types and columns of SQLite translate into each other.
    ///
    /// Integers, doubles, texts, bytes (`Data`), truth values (1 and 0) and enumerations with a raw value of these need no
    /// choice. URLs and decimals are texts. Arrays, dictionaries and nested types are JSON in a text.
    public struct Coding: Sendable, Hashable {
        /// How a `Date` is written.
        public enum Dates: Sendable, Hashable {
            /// A text in UTC with milliseconds, `2026-01-31T12:00:00.000Z`: sorts as it passes.
            case iso8601
            /// An integer: milliseconds since 1970 UTC.
            case millisecondsSince1970
            /// A real number: seconds since 1970 UTC.
            case secondsSince1970
        }

        /// How a `UUID` is written. Both are read.
        public enum UUIDs: Sendable, Hashable {
            /// A text in lowercase.
            case text
            /// A blob of 16 bytes.
            case blob
        }

        /// How names of properties become names of columns.
        public enum Names: Sendable, Hashable {
            /// As they are.
            case same
            /// `createdAt` becomes `created_at`.
            case snakeCase
        }

        /// How a `Date` is written.
        public var dates: Dates
        /// How a `UUID` is written.
        public var uuids: UUIDs
        /// How names of properties become names of columns.
        public var names: Names

        /// Choices of one's own.
        public init(dates: Dates = .iso8601, uuids: UUIDs = .text, names: Names = .same) {
            self.dates = dates
            self.uuids = uuids
            self.names = names
        }

        /// ISO dates, UUIDs as text, names as they are.
        public static let standard = Coding()

        func column(_ key: any CodingKey) -> String {
            switch names {
            case .same: key.stringValue
            case .snakeCase: Self.snakeCase(key.stringValue)
            }
        }

        /// Puts an underscore before each word: `createdAt` is `created_at`, `imageURL` is `image_url`.
        static func snakeCase(_ name: String) -> String {
            var out = ""
            let letters = Array(name)
            for (place, letter) in letters.enumerated() {
                let afterSmall = place > 0 && !letters[place - 1].isUppercase && letters[place - 1] != "_"
                let beforeSmall = place > 0 && place + 1 < letters.count && letters[place + 1].isLowercase
                if letter.isUppercase && (afterSmall || (beforeSmall && letters[place - 1] != "_")) { out.append("_") }
                out.append(contentsOf: letter.lowercased())
            }
            return out
        }
    }
}

extension Rowtide.Coding {
    private static let milliseconds = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    private static let wholeSeconds = Date.ISO8601FormatStyle()

    func value(_ date: Date) -> Rowtide.Value {
        switch dates {
        case .iso8601: .text(Self.milliseconds.format(date))
        case .millisecondsSince1970: .integer(Int64((date.timeIntervalSince1970 * 1000).rounded()))
        case .secondsSince1970: .real(date.timeIntervalSince1970)
        }
    }

    func value(_ uuid: UUID) -> Rowtide.Value {
        switch uuids {
        case .text: uuid.sqlValue
        case .blob: .blob(of: uuid)
        }
    }

    func date(_ value: Rowtide.Value) -> Date? {
        switch (dates, value) {
        case (.iso8601, .text(let text)):
            return (try? Self.milliseconds.parse(text)) ?? (try? Self.wholeSeconds.parse(text))
        case (.millisecondsSince1970, _):
            return value.double.map { Date(timeIntervalSince1970: $0 / 1000) }
        case (.secondsSince1970, _):
            return value.double.map { Date(timeIntervalSince1970: $0) }
        default:
            return nil
        }
    }
}
