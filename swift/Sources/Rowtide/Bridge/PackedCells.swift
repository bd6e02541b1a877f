import Foundation
internal import RowtideBindings

/// Cells as they cross to the core and back: a tag and its value, little-endian, one after the other. `0` NULL, `1` a
/// signed 64-bit integer, `2` a binary64, `3` text and `4` a blob, each a 32-bit count of bytes and the bytes.
enum PackedCells {
    static func pack(_ values: some Sequence<Rowtide.Value>) -> Data {
        var packed = Data()
        for value in values { append(value, to: &packed) }
        return packed
    }

    /// - Throws: ``RowtideError/internal(_:)`` where the bytes are no cells, which only a bug of the core can cause.
    static func unpack(_ packed: Data) throws -> [Rowtide.Value] {
        try packed.withUnsafeBytes { bytes in
            var reader = Reader(bytes: bytes)
            var values: [Rowtide.Value] = []
            values.reserveCapacity(bytes.count / 9)
            while !reader.isAtEnd { values.append(try reader.value()) }
            return values
        }
    }

    private static func append(_ value: Rowtide.Value, to packed: inout Data) {
        switch value {
        case .null:
            packed.append(0)
        case .integer(let integer):
            packed.append(1)
            append(integer, to: &packed)
        case .real(let real):
            packed.append(2)
            append(real.bitPattern, to: &packed)
        case .text(let text):
            packed.append(3)
            append(UInt32(text.utf8.count), to: &packed)
            packed.append(contentsOf: text.utf8)
        case .blob(let bytes):
            packed.append(4)
            append(UInt32(bytes.count), to: &packed)
            packed.append(bytes)
        }
    }

    private static func append(_ number: some FixedWidthInteger, to packed: inout Data) {
        withUnsafeBytes(of: number.littleEndian) { packed.append(contentsOf: $0) }
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var place = 0

        var isAtEnd: Bool { place == bytes.count }

        mutating func value() throws -> Rowtide.Value {
            switch try number(UInt8.self) {
            case 0: .null
            case 1: .integer(try number(Int64.self))
            case 2: .real(Double(bitPattern: try number(UInt64.self)))
            case 3: .text(String(decoding: try block(), as: UTF8.self))
            case 4: .blob(Data(try block()))
            case let tag: throw RowtideError.internal("a cell has the unknown tag \(tag)")
            }
        }

        private mutating func number<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
            let size = MemoryLayout<T>.size
            try need(size)
            defer { place += size }
            return T(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: type))
        }

        private mutating func block() throws -> Slice<UnsafeRawBufferPointer> {
            let count = Int(try number(UInt32.self))
            try need(count)
            defer { place += count }
            return bytes[place..<place + count]
        }

        private func need(_ count: Int) throws {
            guard bytes.count - place >= count else { throw RowtideError.internal("a cell ends early") }
        }
    }
}

extension RowtideBindings.RowValues {
    init(_ values: Rowtide.RowValues) {
        self.init(columns: Array(values.keys), cells: PackedCells.pack(values.values))
    }

    /// Values by the names of their columns.
    func unpacked() throws -> Rowtide.RowValues {
        Dictionary(zip(columns, try PackedCells.unpack(cells)), uniquingKeysWith: { first, _ in first })
    }
}
