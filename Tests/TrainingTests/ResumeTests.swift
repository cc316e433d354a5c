import Checkpoints
import Foundation
import ToolTestSupport
import Testing

@Suite struct ResumeTests {
  /// Enough steps that a run can be killed within; small enough that it takes a second.
  private func arguments(_ scratch: Scratch, _ run: String, _ model: String = "resnet20-dropcov") -> [String] {
    [
      model, "--data", scratch.path + "/data", "--epochs", "3", "--batch-size", "8", "--seed", "7", "--threads", "2",
      "--resume", scratch.path + "/" + run,
    ]
  }

  private func quoted(_ words: [String]) -> String {
    words.map(ToolTestSupport.quoted).joined(separator: " ")
  }

  /// A run that a signal ended after it began and before it was done, however fast the machine.
  private func interrupted(_ scratch: Scratch, _ name: String, by number: Int32) throws -> Run {
    var delay = 0.4
    while true {
      let run = try runShell(
        "exec timeout --preserve-status -s \(number) \(delay) \"$TOOL\" \(quoted(arguments(scratch, name)))",
        tool: "zoo-train")
      let isSaved = FileManager.default.fileExists(atPath: "\(scratch.path)/\(name)/last.safetensors")
      if isSaved || delay > 60 { return run }
      delay *= 1.5
    }
  }

  private func writeData(_ scratch: Scratch) throws {
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 400)
    try scratch.writeCIFAR(images: 40)
  }

  private func weights(_ scratch: Scratch, _ run: String) throws -> [String: [Float]] {
    let checkpoint = try Checkpoint(contentsOf: scratch.path + "/\(run)/last.safetensors")
    return try checkpoint.tensors.mapValues { try $0.tensor(as: Float.self).scalars }
  }

  @Test func `A run killed at twenty random moments ends with the bits of one that was not`() throws {
    let scratch = try Scratch()
    try writeData(scratch)
    let start = Date()
    let whole = try runTool("zoo-train", arguments(scratch, "whole"))
    let duration = Date().timeIntervalSince(start)
    #expect(whole.status == 0, "\(whole.errors)")
    let want = try weights(scratch, "whole")
    let seed = UInt64(Date().timeIntervalSince1970)
    print("moments of the kills: seed \(seed)")
    var random = RandomStream(seed: seed, name: "moments").generator
    var kills = 0
    while kills < 20 {
      // Saved after every step, so that many kills hit a save.
      let run = try runShell(
        "exec timeout -s KILL \(random.uniform(0.1, 0.2 * duration)) \"$TOOL\" --save-interval 0 "
          + quoted(arguments(scratch, "killed")), tool: "zoo-train")
      // Whatever the moment: no checkpoint yet, or a whole one.
      let last = scratch.path + "/killed/last.safetensors"
      if FileManager.default.fileExists(atPath: last) { _ = try weights(scratch, "killed") }
      if run.status == 0 {
        #expect(try weights(scratch, "killed") == want)
        try FileManager.default.removeItem(atPath: scratch.path + "/killed")
      } else {
        kills += 1
      }
    }
    let end = try runTool("zoo-train", arguments(scratch, "killed"))
    #expect(end.status == 0, "\(end.errors)")
    #expect(try weights(scratch, "killed") == want)
    // Nothing else is left behind, and the log tells the same but for times.
    let files = try FileManager.default.contentsOfDirectory(atPath: scratch.path + "/killed").sorted()
    #expect(files.dropLast() == ["best.safetensors", "curves.svg", "last.safetensors", "log.csv"])
    #expect(files.last?.wholeMatch(of: /state-[0-9a-f]{16}-3-0\.safetensors/) != nil, "\(files)")
    func rows(_ run: String) throws -> [String] {
      try scratch.read("\(run)/log.csv").split(separator: "\n").map {
        $0.split(separator: ",", omittingEmptySubsequences: false).dropLast(2).joined(separator: ",")
      }
    }
    #expect(try rows("killed") == rows("whole") && rows("whole").count == 4)
  }

  @Test func `A signal finishes the step, saves and says how to go on`() throws {
    let scratch = try Scratch()
    try writeData(scratch)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let run = "signal-\(number)"
      let stopped = try interrupted(scratch, run, by: number)
      #expect(stopped.status == 128 + number, "\(stopped)")
      #expect(stopped.output.contains("--resume goes on from here"))
      let resumed = try runTool("zoo-train", ["--resume", scratch.path + "/" + run, "--threads", "2"])
      #expect(resumed.status == 0 && resumed.output.contains("resuming resnet20-dropcov at epoch"))
    }
    #expect(try weights(scratch, "signal-\(SIGINT)") == weights(scratch, "signal-\(SIGTERM)"))
  }

  @Test func `Without room for a checkpoint the old one stays whole`() throws {
    let scratch = try Scratch()
    try writeData(scratch)
    let words = quoted(arguments(scratch, "full"))
    #expect(try interrupted(scratch, "full", by: SIGINT).status == 128 + SIGINT)
    let before = try Data(contentsOf: scratch.url.appending(path: "full/last.safetensors"))
    // Goes on where no file can grow past 64 KB.
    let failed = try runShell("ulimit -f 128; trap '' XFSZ; exec \"$TOOL\" \(words)", tool: "zoo-train")
    #expect(failed.status == 1)
    #expect(failed.errors.contains("error: \(scratch.path)/full/") && failed.errors.contains("File too large"))
    #expect(try Data(contentsOf: scratch.url.appending(path: "full/last.safetensors")) == before)
    _ = try weights(scratch, "full")
    let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path + "/full")
    #expect(left.allSatisfy { !$0.hasSuffix(".partial") })
  }

  @Test func `Other settings, other files and nothing to resume are said`() throws {
    let scratch = try Scratch()
    try writeData(scratch)
    let run = arguments(scratch, "run").map { $0 == "3" ? "1" : $0 }
    let first = try runTool("zoo-train", run)
    #expect(first.status == 0 && first.output.contains("no checkpoint to resume, starting over"))
    let other = try runTool("zoo-train", run + ["--learning-rate", "0.3"])
    #expect(other.status == 1 && other.errors.contains("recipe.learningRate was 0.1, now 0.3"), "\(other.errors)")
    let factor = try runTool("zoo-train", run + ["--classifier-rate", "5"])
    #expect(factor.status == 1 && factor.errors.contains("recipe.groups"))
    let done = try runTool("zoo-train", run)
    #expect(done.status == 0 && done.output.contains("all 1 epochs are done"))
    let again = try runTool("zoo-train", run.map { $0 == "--resume" ? "--output" : $0 })
    #expect(again.status == 1 && again.errors.contains("holds a run already"))
    let nothing = try runTool("zoo-train", ["--resume", scratch.path + "/nowhere"])
    #expect(nothing.status == 1 && nothing.errors.contains("no checkpoint to resume; name a model"))
    try scratch.write("run/last.safetensors", Array("nothing of use".utf8))
    #expect(try runTool("zoo-train", run).status == 1)
  }
}
