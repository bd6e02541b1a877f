/// Time that the system grants an app in the background, and takes back when it wants: a `BGTask`, or a test's own.
public protocol SystemTask: AnyObject {
    /// Called by the system when the time is over. The app has moments left then, and is ended if it uses them up.
    var expirationHandler: (() -> Void)? { get set }

    /// Tells the system that the time is not needed any more.
    func setTaskCompleted(success: Bool)
}
