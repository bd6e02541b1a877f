// Writes a note offline on one device, syncs, and reads it on another.
//
// usage: Consumer URL      (a server started with `rowtide serve --demo --table notes:id`)

import Foundation
import Rowtide

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

struct Note: Codable, Sendable {
    var id: String
    var title: String
}

guard let url = CommandLine.arguments.dropFirst().first.flatMap(URL.init(string:)) else {
    fatalError("usage: Consumer URL")
}

/// What an app's own sign-in does; this one is the demonstration server's.
@Sendable func signIn(_ reason: Rowtide.TokenReason) async throws -> String {
    struct Answer: Decodable { let token: String }
    var request = URLRequest(url: url.appendingPathComponent("dummy-signin"))
    request.httpMethod = "POST"
    request.httpBody = Data(#"{"user":"ada","password":"any"}"#.utf8)
    let (body, _) = try await URLSession.shared.data(for: request)
    return try JSONDecoder().decode(Answer.self, from: body).token
}

var options = Rowtide.Options(
    server: url, schema: "business", tables: [Rowtide.Table("notes", key: "id")], tokens: signIn)
options.prepare = {
    try await $0.executeScript("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL)")
}

let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(at: folder) }

let phone = try await Rowtide.open(folder.appendingPathComponent("phone.db").path, options: options)
try await phone.insert(Note(id: "n1", title: "written offline"), into: "notes")
try await phone.attach("ada")
try await phone.sync()

let tablet = try await Rowtide.open(folder.appendingPathComponent("tablet.db").path, options: options)
try await tablet.attach("ada")
for note in try await tablet.query(Note.self, "SELECT * FROM notes") { print("synced: \(note.title)") }

try await phone.close()
try await tablet.close()
