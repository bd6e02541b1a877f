/// The error that a body throws, which must be of one type.
func caught<E: Error, T>(_ type: E.Type, _ body: () async throws -> T) async throws -> E {
    do {
        _ = try await body()
    } catch let error as E {
        return error
    }
    throw Failure("nothing was thrown, where \(type) was expected")
}
