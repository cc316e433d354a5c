import Foundation
import Testing
import ToolTestSupport
import Training

/// A run goes on with the data that it began with, or not at all.
@Suite struct ResumeDataTests {
  private static let picture = try? Data(
    contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
      path: "../VisionTests/Resources/odd_420.jpg"))

  /// A run of one epoch of two, in `run`, on three classes of two images each.
  private func begin(_ scratch: Scratch) throws {
    let picture = try #require(Self.picture)
    for part in ["train", "val"] {
      for name in ["a/0", "a/1", "b/0", "b/1", "c/0", "c/1"] { try scratch.write("data/\(part)/\(name).jpg", picture) }
    }
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize) = (2, 3)
    let settings = TrainingSettings(model: "resnet20", data: scratch.path + "/data", recipe: recipe)
    var steps = 0
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    #expect(try trainer.run(onStep: { _ in steps += 1 }, shouldStop: { steps == 1 }) == .stopped)
  }

  @Test(
    arguments: [
      ("rm -r train/a val/a", "the class 'a' is gone"), ("rm -r train/c val/c", "the class 'c' is gone"),
      ("mv train/b train/x; mv val/b val/x", "the class 'b' is gone"),
      ("cp -r train/a train/d", "the class 'd' is new"),
      ("rm train/b/0.jpg", "5 training images, the run began with 6"),
      ("cp train/b/0.jpg train/b/2.jpg", "7 training images, the run began with 6"),
      ("rm val/b/0.jpg", "5 validation images, the run began with 6"), ("rm -r val", "no validation images"),
      ("mv train/b/0.jpg train/b/9.jpg", "training images of other names or labels"),
      ("mv train/b/0.jpg train/a/2.jpg", "training images of other names or labels"),
      ("mv val/b/0.jpg val/a/2.jpg", "validation images of other names or labels"),
    ])
  func `Other images or classes are named, not gone on with`(change: String, difference: String) throws {
    let scratch = try Scratch()
    try begin(scratch)
    #expect(try runShell("cd '\(scratch.path)/data' && { \(change); }", tool: "zoo-train").status == 0)
    let error = #expect(throws: TrainingError.self) {
      try Trainer(resuming: scratch.path + "/run", settings: { $0 })
    }
    #expect(
      error?.description.contains("cannot go on with other data: \(difference)") == true, "\(String(describing: error))"
    )
  }

  @Test func `Data of another kind are refused, the same data in another place are not`() throws {
    let scratch = try Scratch()
    try begin(scratch)
    try FileManager.default.moveItem(atPath: scratch.path + "/data", toPath: scratch.path + "/moved")
    let moved = try #require(
      try Trainer(
        resuming: scratch.path + "/run",
        settings: {
          var settings = $0
          settings.data = scratch.path + "/moved"
          return settings
        }))
    #expect(try moved.run() == .complete)
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 6)
    let error = #expect(throws: TrainingError.self) {
      try Trainer(
        resuming: scratch.path + "/run",
        settings: {
          var settings = $0
          settings.data = scratch.path + "/data"
          return settings
        })
    }
    #expect(error?.description.contains("CIFAR-10's binary files, the run began with class folders") == true)
  }

  @Test func `More epochs stretch the schedule, fewer than are done are refused`() throws {
    let scratch = try Scratch()
    try begin(scratch)
    let run = scratch.path + "/run"
    let more = try runTool("zoo-train", ["--resume", run, "--epochs", "3"])
    #expect(more.status == 0 && more.errors.contains("2 epochs become 3: the schedule is stretched"), "\(more)")
    #expect(try scratch.read("run/log.csv").split(separator: "\n").count == 4)
    let again = try runTool("zoo-train", ["--resume", run])
    #expect(again.status == 0 && again.output.contains("all 3 epochs are done"))
    let further = try runTool("zoo-train", ["--resume", run, "--epochs", "4"])
    #expect(further.status == 0 && further.output.contains("resuming resnet20 at epoch 4"), "\(further)")
    let fewer = try runTool("zoo-train", ["--resume", run, "--epochs", "2"])
    #expect(fewer.status == 1 && fewer.errors.contains("--epochs must be at least that, found 2"), "\(fewer)")
    let other = try runTool("zoo-train", ["--resume", run, "--epochs", "9", "--batch-size", "2"])
    #expect(other.status == 1 && other.errors.contains("recipe.batchSize was 3, now 2"), "\(other)")
  }

  @Test func `A limit takes images of all classes`() throws {
    let scratch = try Scratch()
    let picture = try #require(Self.picture)
    for name in "abcde" { for index in 0..<9 { try scratch.write("data/\(name)/\(index).jpg", picture) } }
    let data = try openDataset(scratch.path + "/data")
    let twelve = data.limited(to: 12)
    #expect(
      (0..<12).map { twelve.path($0) }
        == ["a/0", "a/1", "a/2", "b/0", "b/1", "c/0", "c/1", "c/2", "d/0", "d/1", "e/0", "e/1"].map { $0 + ".jpg" })
    #expect(twelve.summary.hasSuffix(", 12 of them from 5 of 5 classes"))
    #expect((0..<2).map { data.limited(to: 2).label($0) } == [0, 2])
    #expect(data.limited(to: 45).count == 45 && data.limited(to: nil).count == 45 && data.limited(to: 99).count == 45)
  }
}
