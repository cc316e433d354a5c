import Checkpoints
import Files
import Foundation
import Testing
import ToolTestSupport
import Training

@Suite struct RunDirectoryTests {
  private func settings(_ scratch: Scratch, epochs: Int = 1) throws -> TrainingSettings {
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 20)
    try scratch.writeCIFAR(images: 10)
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize) = (epochs, 10)
    return TrainingSettings(model: "resnet20", data: scratch.path + "/data", recipe: recipe)
  }

  @Test func `What a run did not write stays, whatever it is called`() throws {
    let scratch = try Scratch()
    let names = [
      "state-of-the-art.safetensors", "state-3-0.safetensors", "state-0123456789abcdef-1-0.safetensors",
      ".movie.partial", ".last.safetensors.abc.partial", "state-1-2.safetensors.bak", "notes.txt", "log.csv.old",
    ]
    for name in names { try scratch.write("run/" + name, Array(name.utf8)) }
    let trainer = try Trainer(try settings(scratch, epochs: 2), output: scratch.path + "/run")
    #expect(try trainer.run() == .complete)
    for name in names { #expect(try scratch.read("run/" + name) == name) }
    let own = Set(try directoryEntries(scratch.path + "/run")).subtracting(names)
    #expect(own.count == 5 && own.isSuperset(of: ["last.safetensors", "best.safetensors", "log.csv", "curves.svg"]))
  }

  @Test(arguments: ["last.safetensors", "best.safetensors", "log.csv", "curves.svg"])
  func `A file that would be overwritten stops the run before it begins`(name: String) throws {
    let scratch = try Scratch()
    try scratch.write("run/" + name, Array("mine".utf8))
    let settings = try settings(scratch)
    let error = #expect(throws: TrainingError.self) { try Trainer(settings, output: scratch.path + "/run") }
    #expect(error?.description.hasPrefix(scratch.path + "/run") == true)
    #expect(try scratch.read("run/" + name) == "mine")
    #expect(try directoryEntries(scratch.path + "/run") == [name])
  }

  @Test(arguments: ["best.safetensors", "log.csv", "curves.svg"])
  func `A file that took the place of a run's own is not overwritten when it goes on`(name: String) throws {
    let scratch = try Scratch()
    _ = try Trainer(try settings(scratch), output: scratch.path + "/run").run()
    try scratch.write("run/" + name, Array("mine".utf8))
    let error = #expect(throws: TrainingError.self) {
      try Trainer(resuming: scratch.path + "/run", settings: { $0 })
    }
    #expect(error?.description.contains("\(name): is not of this run") == true)
    #expect(try scratch.read("run/" + name) == "mine")
  }

  @Test func `A run that cannot begin leaves no directory behind`() throws {
    let scratch = try Scratch()
    var settings = try settings(scratch)
    settings.data = "/nowhere"
    #expect(throws: DatasetError.self) { try Trainer(settings, output: scratch.path + "/run") }
    settings.data = scratch.path + "/data"
    settings.finetune = "/nowhere"
    #expect(throws: CheckpointError.self) { try Trainer(settings, output: scratch.path + "/run") }
    #expect(fileKind(scratch.path + "/run") == nil)
  }

  @Test func `A directory has one run at a time, and the second is told of the first`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch)
    var steps = 0
    let first = try Trainer(settings, output: scratch.path + "/run")
    for _ in 0..<2 {
      let error = #expect(throws: TrainingError.self) { try Trainer(settings, output: scratch.path + "/run") }
      #expect(error?.description.contains("another run is going on there (process \(getpid()), training") == true)
    }
    #expect(try first.run(onStep: { _ in steps += 1 }, shouldStop: { steps == 1 }) == .stopped)
    // It has ended: now another may go on, and that one alone.
    let second = try #require(try Trainer(resuming: scratch.path + "/run", settings: { $0 }))
    let tool = try runTool("zoo-train", ["--resume", scratch.path + "/run"])
    #expect(tool.status == 1 && tool.errors.contains("another run is going on there"), "\(tool)")
    let fresh = try runTool(
      "zoo-train", ["resnet20", "--data", settings.data, "--output", scratch.path + "/run", "--epochs", "1"])
    #expect(fresh.status == 1 && fresh.errors.contains("another run is going on there"), "\(fresh)")
    #expect(try second.run() == .complete)
    #expect(!(try directoryEntries(scratch.path + "/run")).contains(".zoo-train.lock"))
  }

  @Test func `A killed run leaves its directory to the next, which clears what it left half-written`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch)
    _ = try Trainer(settings, output: scratch.path + "/run").run()
    let checkpoint = try Checkpoint(contentsOf: scratch.path + "/run/last.safetensors")
    let run = try #require(checkpoint.metadata["run"])
    let left = ["state-\(run)-0-7.safetensors", ".last.safetensors.\(run).partial", ".log.csv.\(run).partial"]
    for name in left { try scratch.write("run/" + name, [1]) }
    try scratch.write("run/.zoo-train.lock", Array("process 1, training resnet20\n".utf8))
    try scratch.write("run/.last.safetensors.other.partial", [1])
    _ = try #require(try Trainer(resuming: scratch.path + "/run", settings: { $0 }))
    let entries = try directoryEntries(scratch.path + "/run")
    #expect(left.allSatisfy { !entries.contains($0) } && entries.contains(".last.safetensors.other.partial"))
  }

  @Test func `Without validation images none are reported`() throws {
    let scratch = try Scratch()
    let picture = try Data(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
        path: "../VisionTests/Resources/odd_420.jpg"))
    for name in ["flat/a/0.jpg", "flat/b/0.jpg", "linked/train/a/0.jpg", "linked/train/b/0.jpg"] {
      try scratch.write(name, picture)
    }
    symlink("train", scratch.path + "/linked/val")
    for folder in ["flat", "linked"] {
      let run = try runTool(
        "zoo-train",
        [
          "resnet20", "--data", scratch.path + "/" + folder, "--epochs", "1", "--batch-size", "2", "--output",
          scratch.path + "/run-" + folder,
        ])
      #expect(run.status == 0 && run.errors.contains("no validation images"), "\(run)")
      #expect(!run.output.contains("validation:") && !run.output.contains("best:"))
      #expect(try scratch.read("run-\(folder)/log.csv").split(separator: "\n")[1].contains(",,,"))
    }
  }

  @Test func `A run whose output nobody takes goes on, and says so once`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch, epochs: 3)
    for (name, streams) in [
      ("full", "> /dev/full"), ("closed", ">&-"), ("both", "> /dev/full 2>&-"), ("pipe", "| true"),
    ] {
      let run = try runShell(
        "\"$TOOL\" resnet20 --data '\(settings.data)' --epochs 3 --batch-size 10 --output '\(scratch.path)/\(name)' "
          + streams, tool: "zoo-train")
      #expect(run.status == 0, "\(name): \(run)")
      #expect(run.errorLines.filter { $0.contains("standard output: cannot be written") }.count <= 1)
      if streams == "> /dev/full" {
        #expect(run.errors.contains("No space left on device; the run goes on without it"))
      }
      #expect(try scratch.read("\(name)/log.csv").split(separator: "\n").count == 4)
    }
  }

  private static let hasScript = (try? runShell("command -v script", tool: "zoo-train").status) == 0

  @Test(.enabled(if: hasScript, "there is no script(1)"), arguments: [40, 80, 200])
  func `Progress fits the terminal`(_ columns: Int) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 400)
    let run = try runShell(
      "cd '\(scratch.path)' && script -qec \"stty cols \(columns); '$TOOL' resnet20 --data data --epochs 1 --batch-size 8 "
        + "--output run >/dev/null\" /dev/null </dev/null", tool: "zoo-train")
    #expect(run.status == 0, "\(run)")
    let shown = run.output.split(whereSeparator: \.isNewline).filter { $0.contains("/400") }
    #expect(!shown.isEmpty && shown.allSatisfy { $0.count < columns }, "\(shown.map(\.count))")
    // Where there is room the line says everything.
    if columns == 200 {
      #expect(shown.allSatisfy { $0.contains("░") || $0.contains("█") } && shown.allSatisfy { $0.contains("rate ") })
    }
  }

  @Test func `A run whose directory was replaced writes nothing into the other`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch, epochs: 2)
    let first = try Trainer(settings, output: scratch.path + "/run")
    try FileManager.default.moveItem(atPath: scratch.path + "/run", toPath: scratch.path + "/old")
    let second = try Trainer(settings, output: scratch.path + "/run")
    let error = #expect(throws: TrainingError.self) { try first.run() }
    #expect(error?.description.contains("was replaced since the run began") == true)
    #expect(try second.run() == .complete)
    let entries = try directoryEntries(scratch.path + "/old")
    #expect(entries.allSatisfy { $0 == ".zoo-train.lock" })
  }

  @Test func `Notes that somebody added to the log are not lost`() throws {
    let scratch = try Scratch()
    _ = try Trainer(try settings(scratch), output: scratch.path + "/run").run()
    let log = try scratch.read("run/log.csv")
    try scratch.write("run/log.csv", Array((log + "my notes\n").utf8))
    let error = #expect(throws: TrainingError.self) {
      try Trainer(resuming: scratch.path + "/run", settings: { $0 })
    }
    #expect(error?.description.contains("log.csv: is not of this run") == true)
    // A crash leaves a row less.
    let rows = log.split(separator: "\n").dropLast().joined(separator: "\n") + "\n"
    try scratch.write("run/log.csv", Array(rows.utf8))
    _ = try #require(try Trainer(resuming: scratch.path + "/run", settings: { $0 }))
  }

  @Test func `Links that lead nowhere are not written through`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch)
    try FileManager.default.createDirectory(atPath: scratch.path + "/run", withIntermediateDirectories: true)
    #expect(symlink("/nowhere/log.csv", scratch.path + "/run/log.csv") == 0)
    let error = #expect(throws: TrainingError.self) { try Trainer(settings, output: scratch.path + "/run") }
    #expect(error?.description.contains("log.csv: is not of this run") == true)
  }

  @Test func `A picture that somebody drew is not replaced by the curves`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch)
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    try scratch.write("run/curves.svg", Array("<svg>mine</svg>".utf8))
    let error = #expect(throws: TrainingError.self) { try trainer.run() }
    #expect(error?.description.contains("curves.svg: is not of this run") == true)
    #expect(try scratch.read("run/curves.svg") == "<svg>mine</svg>")
  }

  @Test func `Validation is of images that were read and have labels`() throws {
    let scratch = try Scratch()
    let picture = try Data(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
        path: "../VisionTests/Resources/odd_420.jpg"))
    for name in ["a", "b"] { try scratch.write("data/train/\(name)/0.jpg", picture) }
    func run(_ name: String) throws -> Run {
      try runTool(
        "zoo-train",
        ["resnet20", "--data", scratch.path + "/data", "--epochs", "1", "--output", scratch.path + "/" + name])
    }
    try scratch.write("data/val/0.jpg", picture)
    let flat = try run("flat")
    #expect(flat.status == 1 && flat.errors.contains("its validation images have no labels"), "\(flat)")
    try FileManager.default.removeItem(atPath: scratch.path + "/data/val")
    for name in ["a", "b"] { try scratch.write("data/val/\(name)/0.jpg", Array("junk".utf8)) }
    let none = try run("none")
    #expect(none.status == 1 && none.errors.contains("none of the 2 validation images could be read"), "\(none)")
    #expect(!none.output.contains("validation:"))
    try scratch.write("data/val/a/1.jpg", picture)
    let some = try run("some")
    #expect(some.status == 0 && some.errors.contains("left out of the validation: ") && some.errors.contains("b/0.jpg"))
  }
}
