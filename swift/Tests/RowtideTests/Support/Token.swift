import Foundation

/// Access tokens as the owner of the server's secret signs them: JSON Web Tokens with HS256.
enum Token {
    /// - Parameter seconds: Until it expires. The client asks for a new one before each request when they are below 30.
    static func of(_ user: String, seconds: Int = 3600) -> String {
        let expiry = Int(Date().timeIntervalSince1970) + seconds
        let header = base64(Data(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
        let claims = base64(Data(#"{"sub":"\#(user)","exp":\#(expiry)}"#.utf8))
        let signed = "\(header).\(claims)"
        return "\(signed).\(base64(hmac(Data(Server.secret.utf8), Data(signed.utf8))))"
    }

    private static func base64(_ data: Data) -> String {
        data.base64EncodedString()
            .replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    private static func hmac(_ key: Data, _ message: Data) -> Data {
        let key = key + Data(repeating: 0, count: 64 - key.count)
        return sha256(Data(key.map { $0 ^ 0x5c }) + sha256(Data(key.map { $0 ^ 0x36 }) + message))
    }

    /// FIPS 180-4. Foundation on Linux has no hash of its own, and tests are no reason for a dependency.
    private static func sha256(_ message: Data) -> Data {
        var state = firstBits(of: 8, cubic: false)
        let constants = firstBits(of: 64, cubic: true)
        var padded = message + [0x80]
        while padded.count % 64 != 56 { padded.append(0) }
        withUnsafeBytes(of: UInt64(message.count * 8).bigEndian) { padded.append(contentsOf: $0) }
        for start in stride(from: 0, to: padded.count, by: 64) {
            var words = (0..<16).map { word in
                (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(padded[start + word * 4 + $1]) }
            }
            for i in 16..<64 {
                let a = words[i - 15]
                let b = words[i - 2]
                let small = rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)
                let large = rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10)
                words.append(words[i - 16] &+ small &+ words[i - 7] &+ large)
            }
            var v = state
            for i in 0..<64 {
                let mixed = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)
                let chosen = (v[4] & v[5]) ^ (~v[4] & v[6])
                let first = v[7] &+ mixed &+ chosen &+ constants[i] &+ words[i]
                let turned = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)
                let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])
                v = [first &+ turned &+ majority, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
            }
            state = zip(state, v).map { $0 &+ $1 }
        }
        return state.reduce(into: Data()) { out, word in
            withUnsafeBytes(of: word.bigEndian) { out.append(contentsOf: $0) }
        }
    }

    /// The first 32 bits behind the point of the square or cube roots of the first primes.
    private static func firstBits(of count: Int, cubic: Bool) -> [UInt32] {
        let primes = (2...).lazy.filter { number in !(2..<number).contains { number % $0 == 0 } }
        return primes.prefix(count).map { prime in
            let root = cubic ? cbrt(Double(prime)) : Double(prime).squareRoot()
            return UInt32(root.truncatingRemainder(dividingBy: 1) * 4_294_967_296)
        }
    }

    private static func rotated(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }
}
