import Foundation
internal import RowtideBindings

/// Answers the core's requests for tokens from the app's closure, each on a task of its own.
final class TokenAnswers: RowtideBindings.TokenProvider {
    private let provider: Rowtide.TokenProvider

    init(_ provider: @escaping Rowtide.TokenProvider) { self.provider = provider }

    func requestToken(reason: RowtideBindings.TokenReason, reply: TokenReply) {
        let provider = self.provider
        Task {
            do {
                reply.token(token: try await provider(Rowtide.TokenReason(reason)))
            } catch Rowtide.TokenError.denied(let text) {
                reply.denied(reason: text)
            } catch Rowtide.TokenError.offline(let text) {
                reply.offline(reason: text)
            } catch {
                // An error's own text may hold a secret.
                let text = "the token provider threw \(type(of: error))"
                if (error as NSError).domain == NSURLErrorDomain {
                    reply.offline(reason: text)
                } else {
                    reply.denied(reason: text)
                }
            }
        }
    }
}

/// Answers the core's requests for decisions from the app's closure, each on a task of its own.
final class ConflictAnswers: RowtideBindings.Resolver {
    private let resolver: Rowtide.Resolver

    init(_ resolver: @escaping Rowtide.Resolver) { self.resolver = resolver }

    func resolve(conflicts: [RowConflict], reply: ResolverReply) {
        let resolver = self.resolver
        Task {
            do {
                let decisions = try await resolver(try conflicts.map(Rowtide.Conflict.init))
                reply.decide(decisions: decisions.map(\.bridged))
            } catch {
                // An error's own text may hold a row.
                reply.fail(reason: "the resolver threw \(type(of: error))")
            }
        }
    }
}
