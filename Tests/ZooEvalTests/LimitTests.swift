import Foundation
import Testing
import ToolTestSupport

/// Machines that give less than is asked for.
@Suite struct LimitTests {
  @Test(arguments: [100, 150, 190, 260, 320, 400, 600, 900])
  func `Where addresses are limited it works or says in one line that it cannot`(_ megabytes: Int) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork()
    let arguments = "resnet20 --checkpoint \(quoted(checkpoint)) --data \(quoted(scratch.path))/data"
    for line in [arguments, "resnet50-fastmpn --batch-size 4000", "resnet20 --explain --random-weights --batch-size 1"]
    {
      let run = try runShell("ulimit -v \(megabytes)000; exec \"$TOOL\" \(line)", tool: "zoo-eval", limit: 60)
      // The loader's own status and line, where there is not even room for the libraries.
      if run.status == 127 { continue }
      #expect(run.status == 0 || run.status == 1, "\(line): \(run)")
      let errors = run.errorLines.filter { !$0.hasPrefix("warning: ") && !$0.hasPrefix("the accuracy") }
      if run.status == 1 {
        #expect(errors.count == 1 && errors[0].hasPrefix("error: ") && errors[0].contains(" MB"), "\(line): \(run)")
      }
      if megabytes == 900, line == arguments { #expect(run.status == 0, "\(run)") }
      if line.contains("4000") { #expect(run.status == 1) }
    }
  }

  @Test func `A batch beyond the machine's memory is one line that says what to lower`() throws {
    let run = try runShell(
      "ulimit -v 2000000; exec \"$TOOL\" resnet18 --random-weights --batch-size 4000", tool: "zoo-eval")
    #expect(run.status == 1 && run.output.isEmpty)
    #expect(run.errorLines.count == 1 && run.errors.contains("resnet18 with batches of 4000 needs "), "\(run)")
    #expect(run.errors.contains(" GB of memory, and ") && run.errors.contains("lower the batch size (--batch-size)"))
  }

  @Test(arguments: ["100000", "9223372036854775807"])
  func `More threads than make sense are not made, and that is said`(_ threads: String) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork()
    let run = try zooEval(
      "resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--threads", threads)
    #expect(run.status == 0)
    #expect(run.errors.contains(" threads instead of \(threads): no more than that make sense on this machine\n"))
  }

  /// A user other than root, for whom the limit on processes holds.
  private static let canLimitProcesses = geteuid() == 0 && FileManager.default.fileExists(atPath: "/usr/bin/setpriv")

  @Test(.enabled(if: canLimitProcesses, "only root can become another user"), arguments: [0, 1])
  func `Where no threads can be made it works with the one there is`(_ limit: Int) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 9)
    let checkpoint = try scratch.writeNetwork()
    // The build need not be readable for others.
    let run = try runShell(
      """
      cp "$TOOL" \(quoted(scratch.path))/tool && chmod -R a+rX \(quoted(scratch.path)) && exec setpriv --reuid=64123 \
      --clear-groups prlimit --nproc=\(limit) \(quoted(scratch.path))/tool resnet20 --threads 4 \
      --checkpoint \(quoted(checkpoint)) --data \(quoted(scratch.path))/data --batch-size 4
      """, tool: "zoo-eval", limit: 60)
    #expect(run.status == 0 && run.output.contains("9 images"), "\(run)")
    #expect(run.errors.contains("the system's limits allow for 1 of 4 threads"), "\(run)")
  }
}
