import Foundation
import Rowtide

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Signs in at a server that was started with `--demo`, where anybody can be anybody. An app asks its identity service
/// here. Where that cannot be reached, sync tries again later.
public struct DemoSignIn: Sendable {
    let server: URL
    let user: String

    public init(server: URL, user: String) {
        self.server = server
        self.user = user
    }

    /// The provider that `Rowtide.Options` wants.
    public func token(_ reason: Rowtide.TokenReason) async throws -> String {
        struct Question: Encodable { let user: String, password: String }
        struct Answer: Decodable { let token: String }
        var request = URLRequest(url: server.appendingPathComponent("dummy-signin"))
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try JSONEncoder().encode(Question(user: user, password: "any"))
        let (data, _) = try await URLSession.shared.data(for: request)
        return try JSONDecoder().decode(Answer.self, from: data).token
    }
}
