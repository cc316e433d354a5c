import Foundation
import Testing
import ToolTestSupport

/// The limit that keeps a test from waiting for ever.
@Suite struct TimeLimitTests {
  @Test(arguments: [
    "sleep 1000", "sleep 1000 & exit 0", "echo said; sleep 1001", "trap '' TERM; while :; do sleep 1; done",
  ])
  func `A process that does not end is killed with its children`(_ line: String) throws {
    let start = ContinuousClock.now
    let error = #expect(throws: TimeLimitExceeded.self) {
      _ = try runShell(line, tool: "zoo-eval", limit: 0.5)
    }
    #expect(ContinuousClock.now - start < .seconds(30))
    #expect(error?.description.contains("did not end within 0.5 seconds") == true)
  }

  @Test func `Much output on both streams is read while it comes`() throws {
    let run = try runShell(
      "head -c 3000000 /dev/zero | tr '\\0' e >&2; head -c 3000000 /dev/zero | tr '\\0' o", tool: "zoo-eval")
    #expect(run.status == 0 && run.output.count == 3_000_000 && run.errors.count == 3_000_000)
  }
}
