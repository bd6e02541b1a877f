internal import RowtideBindings

extension Rowtide {
    /// Starts to sync by itself: uploads after local commits, downloads when the server tells of changes or at an interval.
    ///
    /// A loop that runs already goes on with these options. It waits for ``attach(_:)`` where no user is attached, and ends
    /// with ``stop()`` or ``close()``. Failures are shown by the ``Status`` and tried again; none has to be handled.
    public func start(_ options: LoopOptions = LoopOptions()) {
        whileOpen { try client.start(options: options.bridged) }
    }

    /// Stops to sync by itself. An operation that runs is finished.
    public func stop() {
        whileOpen { try client.stop() }
    }

    /// Holds the loop's uploads or downloads. Operations that the app calls work all the same, and their report says what
    /// is paused.
    public func pause(_ direction: Direction) {
        whileOpen { try client.pause(direction: direction.bridged) }
    }

    /// Lets the loop's uploads or downloads go on, at once.
    public func resume(_ direction: Direction) {
        whileOpen { try client.resume(direction: direction.bridged) }
    }

    /// Tells the loop of the network. When it comes back, the loop tries at once.
    public func setConnectivity(_ connectivity: Connectivity) {
        whileOpen { try client.setConnectivity(connectivity: connectivity.bridged) }
    }

    /// Tells that the token provider can give a valid token (again): the loop, which waits after
    /// ``Health/authRequired``, tries at once.
    public func credentialsChanged() {
        whileOpen { try client.credentialsChanged() }
    }

    /// These calls fail only after ``close()``; there is no loop to tell anything then.
    private func whileOpen(_ call: () throws -> Void) {
        try? call()
    }
}
