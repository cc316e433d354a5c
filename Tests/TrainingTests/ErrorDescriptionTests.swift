import Checkpoints
import Foundation
import Testing
import Training

/// What Foundation, and so most interfaces, show of an error.
@Suite struct ErrorDescriptionTests {
  @Test func `An error's localized description is its line`() throws {
    func error(_ body: () throws -> Void) -> (any Error)? {
      do { try body() } catch { return error }
      return nil
    }
    let errors: [(any Error)?] = [
      error { _ = try Zoo.entry(named: "resnet51") }, error { _ = try Checkpoint(contentsOf: "/nowhere.pth") },
      error { _ = try openDataset("/nowhere") }, error { _ = try Image(contentsOf: "/nowhere.jpg") },
      error { _ = try Recipe.find("nothing") }, error { _ = try CovarianceNormalization("nothing") },
    ]
    for error in errors {
      let error = try #require(error)
      #expect(error.localizedDescription == "\(error)" && !error.localizedDescription.isEmpty)
    }
  }
}
