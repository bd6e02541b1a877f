import Foundation
import Rowtide
import Testing

@Suite("Rows and Swift types")
struct RowCodingTests {
    enum Colour: String, Codable { case red, green }

    struct Everything: Codable, Equatable, Sendable {
        struct Part: Codable, Equatable {
            var name: String
            var size: Int
        }

        var id: UUID
        var text: String?
        var integer: Int64
        var real: Double
        var flag: Bool
        var bytes: Data
        var createdAt: Date
        var link: URL
        var price: Decimal
        var colour: Colour
        var colours: [Colour]
        var part: Part
        var absent: Int?
    }

    let everything = Everything(
        id: UUID(), text: "text 'with' \"quotes\" and 🌊", integer: .min, real: -0.1, flag: true,
        bytes: Data([0, 255]), createdAt: Date(timeIntervalSince1970: 1_700_000_000.25),
        link: URL(fileURLWithPath: "/a b"), price: Decimal(sign: .plus, exponent: -2, significand: 1999),
        colour: .green, colours: [.red, .green], part: .init(name: "p", size: 1), absent: nil)

    static let choices: [Rowtide.Coding] = [
        .standard,
        .init(dates: .millisecondsSince1970, uuids: .blob, names: .snakeCase),
        .init(dates: .secondsSince1970),
    ]

    @Test("a type comes back from SQLite as it went in", arguments: choices)
    func roundTrip(coding: Rowtide.Coding) async throws {
        let device = try Device(Server())
        try await device.use { db in
            let columns = try coding.columns(of: everything).map(\.name)
            try await db.executeScript("CREATE TABLE everything (\(columns.joined(separator: ", ")))")
            try await db.insert(everything, into: "everything", as: coding)
            #expect(try await db.query(Everything.self, "SELECT * FROM everything", as: coding) == [everything])
        }
    }

    @Test("values take the forms that other devices expect")
    func forms() throws {
        let columns = try Rowtide.Coding.standard.columns(of: everything)
        let values = Dictionary(columns.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(values["id"] == .text(everything.id.uuidString.lowercased()))
        #expect(values["createdAt"] == "2023-11-14T22:13:20.250Z")
        #expect(values["flag"] == 1)
        #expect(values["price"] == "19.99")
        #expect(values["colours"] == #"["red","green"]"#)
        #expect(values["part"] == #"{"name":"p","size":1}"#)
        #expect(values["absent"] == .null)
    }

    @Test("names become snake case a word at a time")
    func snakeCase() throws {
        struct Names: Encodable {
            var createdAt = 1
            var imageURL = 2
            var URLOfImage = 3
            var plain = 4
            var already_so = 5
        }
        let columns = try Rowtide.Coding(names: .snakeCase).columns(of: Names()).map(\.name)
        #expect(columns == ["created_at", "image_url", "url_of_image", "plain", "already_so"])
    }

    @Test("an error names the column and not the value")
    func errors() async throws {
        let device = try Device(Server())
        try await device.use { db in
            let error = try await caught(DecodingError.self) {
                try await db.query(Note.self, "SELECT 'n1' AS id, 'secret' AS stars, 't' AS title")
            }
            guard case .typeMismatch(_, let context) = error else { throw error }
            #expect(context.codingPath.map(\.stringValue) == ["stars"])
            #expect(!context.debugDescription.contains("secret"))
        }
    }

    @Test("what has no names is no row")
    func noRow() {
        #expect(throws: EncodingError.self) { try Rowtide.Coding.standard.columns(of: [1, 2]) }
        #expect(throws: EncodingError.self) { try Rowtide.Coding.standard.columns(of: 1) }
        #expect(throws: EncodingError.self) { try Rowtide.Coding.standard.columns(of: ["n": UInt64.max]) }
    }
}
