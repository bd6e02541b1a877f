#if canImport(SwiftUI)
import Foundation
import NotesModel
import Rowtide
import RowtideBackground

/// Who is signed in, where, and where the notes lie on this device.
public struct Account: Sendable {
    public let server: URL
    public let user: String
    let path: String

    /// - Throws: What the system says where the folder cannot be made.
    public init(server: URL, user: String) throws {
        self.server = server
        self.user = user
        var folder = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        ).appendingPathComponent("notes", isDirectory: true)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        #if os(iOS)
        // Background syncs run while the device is locked.
        try FileManager.default.setAttributes(
            [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication], ofItemAtPath: folder.path)
        #endif
        // The server has the notes; and a copy on another phone would be another device.
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        path = folder.appendingPathComponent("notes.db").path
    }

    var signIn: DemoSignIn { DemoSignIn(server: server, user: user) }

    /// The sync in the time that the system grants in the background. Nobody is there to decide a clash: it stays unsent
    /// until the app is opened.
    public var background: BackgroundSync {
        BackgroundSync(open: { [self] in
            try await Notebook.openDatabase(path, server: server, tokens: signIn.token) { _ in throw CancellationError() }
        })
    }
}
#endif
