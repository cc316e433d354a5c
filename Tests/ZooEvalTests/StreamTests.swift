import Testing
import ToolTestSupport

@Suite("Streams that cannot be written")
struct StreamTests {
  @Test(
    "a result that could not be delivered is an error",
    arguments: [
      "\"$TOOL\" --list > /dev/full", "\"$TOOL\" --list >&-", "\"$TOOL\" --help > /dev/full",
      "\"$TOOL\" --generate-completion-script bash > /dev/full", "\"$TOOL\" --list --format json >&-",
    ])
  func undelivered(line: String) throws {
    let run = try runShell(line, tool: "zoo-eval")
    #expect(run.status == 1)
    #expect(run.errors.hasPrefix("error: standard output: cannot be written: "))
    #expect(run.output.isEmpty)
  }

  @Test("a reader that has gone away is an error where the signal is ignored, and never success")
  func goneReader() throws {
    // A second is enough for `true` to have ended.
    let ignored = try runShell(
      "{ trap '' PIPE; sleep 1; \"$TOOL\" --list; echo status $? >&2; } | true", tool: "zoo-eval")
    #expect(ignored.errors.hasPrefix("error: standard output: cannot be written: Broken pipe"), "\(ignored)")
    #expect(ignored.errors.hasSuffix("status 1\n"))
    let plain = try runShell("{ sleep 1; \"$TOOL\" --list; echo status $? >&2; } | true", tool: "zoo-eval")
    // Whoever started the tests may have had it ignored too, so the words are not looked at here.
    #expect(plain.errors.contains("status ") && !plain.errors.contains("status 0"), "\(plain)")
  }

  @Test(
    "an error keeps its status where nobody hears of it",
    arguments: ["2>&-", "2> /dev/full", ">&- 2>&-", "<&- 2>&-"])
  func unheard(streams: String) throws {
    let run = try runShell("\"$TOOL\" resnet20 --checkpoint /nowhere \(streams)", tool: "zoo-eval")
    #expect(run.status == 1)
    #expect(run.errors.isEmpty)
  }

  @Test("a file that is opened never takes the place of a closed stream")
  func closedStreams() throws {
    let scratch = try Scratch()
    let network = try scratch.writeNetwork()
    try scratch.writeCIFAR(images: 12)
    let run = try runShell(
      "cd '\(scratch.path)' && \"$TOOL\" resnet20 --checkpoint '\(network)' --data data --predictions p.csv >&- 2>&-",
      tool: "zoo-eval")
    #expect(run.status == 1)
    let plain = try runShell("cd '\(scratch.path)' && cat data/test_batch.bin | wc -c", tool: "zoo-eval")
    #expect(plain.output.contains("36876"))
  }

  @Test("usage errors and help go where they went")
  func usage() throws {
    let help = try zooEval("--help")
    #expect(help.status == 0 && help.output.contains("OVERVIEW") && help.errors.isEmpty)
    let wrong = try zooEval("resnet20", "--nonsense")
    #expect(wrong.status == 64 && wrong.output.isEmpty && wrong.errors.contains("Unknown option '--nonsense'"))
  }
}
