import Rowtide

/// A token provider that holds the request of one turn, so that a test acts in the middle of an operation.
///
/// Its tokens are about to expire, so the client asks for one before each request.
actor Gate {
    private let user: String
    private var turnsLeft: Int?
    private var held: CheckedContinuation<Void, Never>?
    private var arrival: CheckedContinuation<Void, Never>?
    private var hasArrived = false

    init(user: String) { self.user = user }

    /// Holds the request after this many further ones.
    func close(after requests: Int) {
        turnsLeft = requests
        hasArrived = false
    }

    /// Waits until a request is held.
    func waitForArrival() async {
        if !hasArrived { await withCheckedContinuation { arrival = $0 } }
    }

    /// Lets the held request go, and all others.
    func open() {
        turnsLeft = nil
        held?.resume()
        held = nil
    }

    func token() async -> String {
        if let left = turnsLeft {
            turnsLeft = left - 1
            if left == 0 {
                turnsLeft = nil
                hasArrived = true
                arrival?.resume()
                arrival = nil
                await withCheckedContinuation { held = $0 }
            }
        }
        return Token.of(user, seconds: 20)
    }
}
