import Checkpoints
import Foundation
import ModelZoo
import ToolTestSupport
import Testing

@Suite struct EvaluationRunTests {
  /// Rows of a predictions file without the header.
  private func rows(_ text: String) -> [[String]] {
    text.split(separator: "\n").dropFirst().map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
  }

  @Test func `Predictions and results are what the network computes`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 23)
    let checkpoint = try scratch.writeNetwork()
    let run = try zooEval(
      "resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--batch-size", "4", "--predictions",
      scratch.path + "/p.csv", "--results", scratch.path + "/r.json")
    #expect(run.status == 0 && run.errorLines.isEmpty)

    let text = try scratch.read("p.csv")
    #expect(
      text.hasPrefix(
        "path,label,class1,probability1,class2,probability2,class3,probability3,class4,probability4,class5,probability5,"
          + "label_name,name1,name2,name3,name4,name5\n"
      ))
    let rows = rows(text)
    #expect(rows.count == 23 && rows[7][0] == "test_batch.bin#7" && rows[7][1] == "7" && rows[7][12] == "horse")
    // The same through the library, one image at a time.
    let classifier = try Classifier("resnet20", checkpoint: checkpoint)
    let data = try openDataset(scratch.path + "/data")
    var correct = 0
    for (index, row) in rows.enumerated() {
      let predictions = try classifier.classify(data.image(index))
      #expect(predictions.map { "\($0.index)" } == [2, 4, 6, 8, 10].map { row[$0] })
      #expect(predictions.map(\.name) == Array(row[13...]))
      for (rank, prediction) in predictions.enumerated() {
        #expect(abs(Double(prediction.probability) - (Double(row[3 + 2 * rank]) ?? -1)) < 1e-5)
        #expect(row[3 + 2 * rank].count == 8)  // 0.123456
      }
      if predictions[0].index == index % 10 { correct += 1 }
    }

    let results = try #require(
      try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any])
    #expect(results["model"] as? String == "resnet20" && results["images"] as? Int == 23)
    #expect(results["correct1"] as? Int == correct)
    #expect(abs((results["top1"] as? Double ?? -1) - 100 * Double(correct) / 23) < 1e-9)
    #expect(results["parameters"] as? Int == 269_722 && results["macs"] as? Int == 40_551_040)
    for key in ["checkpoint", "data", "blas", "blasKernel"] { #expect((results[key] as? String)?.isEmpty == false) }
    for key in ["top5", "loss", "imagesPerSecond", "seconds", "peakMemoryMB"] {
      #expect((results[key] as? Double ?? -1) >= 0, "\(key)")
    }
    for key in ["correct5", "imageSize", "batchSize", "threads"] {
      #expect((results[key] as? Int ?? -1) >= 0, "\(key)")
    }
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/status"), "memory cannot be measured"))
  func `A large network takes at most twice its weights and 80 MB`() throws {
    // Winograd's weights are four times as large as what they are made of, so the file's pages must not stay.
    let scratch = try Scratch()
    let path = scratch.path + "/resnet101.safetensors"
    let configuration = try Zoo.entry(named: "resnet101-fastmpn").configuration
    try writeSafetensors(
      AnyNetwork<Float>(configuration).tensors.map {
        (name: $0.description.name, tensor: Tensor<Float>($0.tensor.shape, repeating: 0.01))
      },
      metadata: [:], to: path)
    let run = try zooEval(
      "resnet101-fastmpn", "--checkpoint", path, "--batch-size", "1", "--threads", "2", "--results",
      scratch.path + "/r.json")
    #expect(run.status == 0, "\(run.errors)")
    let results = try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any]
    let weights = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    let peak = try #require(results?["peakMemoryMB"] as? Double)
    #expect(peak > 300 && peak <= 2 * Double(weights) / 1e6 + 80)
  }

  @Test(arguments: [PublishedHead.gap, .fastmpn, .mpn, .dropcov])
  func `Results do not depend on threads or batch size`(_ head: PublishedHead) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 19)
    let checkpoint = try scratch.writeNetwork("n.safetensors", head)
    let model = head == .gap ? "resnet20" : "resnet20-\(head.rawValue)"
    var reference: [[String]]?
    for (threads, batch) in [(1, 1), (2, 16), (2, 1), (5, 7)] {
      let run = try zooEval(
        model, "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--threads", "\(threads)", "--batch-size",
        "\(batch)", "--predictions", scratch.path + "/p.csv")
      #expect(run.status == 0)
      let found = rows(try scratch.read("p.csv"))
      #expect(found.count == 19)
      guard let wanted = reference else {
        reference = found
        continue
      }
      for (a, b) in zip(found, wanted) {
        for column in 0..<12 {
          if column >= 3 && column % 2 == 1 {
            #expect(abs((Double(a[column]) ?? -1) - (Double(b[column]) ?? -2)) <= 1e-5)
          } else {
            #expect(a[column] == b[column])
          }
        }
      }
    }
  }

  @Test func `Unreadable images are counted and named, and with --strict they end the run`() throws {
    let scratch = try Scratch()
    let picture = try Data(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
        path: "VisionTests/Resources/small.jpg"))
    for index in 0..<9 { try scratch.write("data/a/\(index).jpg", picture) }
    for index in 0..<6 { try scratch.write("data/b/\(index).jpg", index == 0 ? [] : Array("no picture".utf8)) }
    let checkpoint = try scratch.writeNetwork(classes: 2)
    let arguments = ["resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data"]
    let run = try zooEval(
      arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], "--results", scratch.path + "/r.json",
      "--predictions", scratch.path + "/p.csv")
    #expect(run.status == 2)  // images were left out
    #expect(run.errorLines.count == 6 && run.errorLines[0].contains("6 of the images could not be read"))
    #expect(run.errorLines[1].contains("b/0.jpg") && run.errorLines[1].contains("empty"))
    #expect(run.errorLines[5].contains("2 more"))
    let results = try #require(
      try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any])
    #expect(results["images"] as? Int == 9 && results["failed"] as? Int == 6)
    let predictions = rows(try scratch.read("p.csv"))
    #expect(predictions.count == 9 && predictions[0][6...].allSatisfy { $0.isEmpty })

    let strict = try zooEval(
      arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], "--strict", "--results",
      scratch.path + "/strict.json")
    #expect(strict.status == 1 && strict.errorLines.count == 1 && strict.errorLines[0].contains("b/0.jpg"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/strict.json"))
  }

  @Test func `Results may be CSV, and a limit limits`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 12)
    let run = try zooEval(
      "resnet20", "--checkpoint", try scratch.writeNetwork(), "--data", scratch.path + "/data", "--limit", "5",
      "--results", scratch.path + "/r.csv")
    #expect(run.status == 0)
    let lines = try scratch.read("r.csv").split(separator: "\n")
    #expect(lines.count == 2 && lines[0].hasPrefix("model,checkpoint,data,images,"))
    #expect(lines[1].split(separator: ",")[3] == "5")
    #expect(run.output.contains("5 of them from 5 of 10 classes"))
  }

  @Test func `Without a checkpoint it says so and reports what is true all the same`() throws {
    let scratch = try Scratch()
    let run = try zooEval("resnet32-fastmpn", "--batch-size", "2", "--results", scratch.path + "/r.json")
    #expect(run.status == 0)
    for words in ["weights are random", "parameters", "MACs", "images/s", "Newton–Schulz", "MB at its peak"] {
      #expect(run.output.contains(words), "\(words)")
    }
    let results = try #require(
      try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any])
    #expect((results["imagesPerSecond"] as? Double ?? 0) > 0 && results["top1"] is NSNull)
  }

  @Test func `Single images get their five likeliest classes`() throws {
    let scratch = try Scratch()
    let picture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
      path: "VisionTests/Resources/odd_420.jpg"
    ).path
    let checkpoint = try scratch.writeNetwork()
    let run = try zooEval("resnet20", "--checkpoint", checkpoint, picture)
    let lines = run.output.split(separator: "\n")
    #expect(run.status == 0 && lines.count == 6 && lines[0] == picture)
    let best = try Classifier("resnet20", checkpoint: checkpoint).classify(contentsOf: picture)[0]
    #expect(lines[1].hasSuffix("\(best.index)  \(best.name)"))
    #expect(try zooEval("resnet20", "--checkpoint", checkpoint, picture, "/nowhere.jpg").status == 2)
    #expect(try zooEval("resnet20", "--checkpoint", checkpoint, picture, "/nowhere.jpg", "--strict").status == 1)
    #expect(try zooEval("resnet20", "--checkpoint", checkpoint, "/nowhere.jpg").status == 1)
    // No result is an error for a single image too.
    let fastMPN = try scratch.writeNetwork("fastmpn.safetensors", .fastmpn)
    let failed = try zooEval(
      "resnet20-fastmpn", "--checkpoint", fastMPN, "--normalization", "newton-schulz:iterations=2,tolerance=1e-6",
      picture)
    #expect(failed.status == 1 && failed.output.isEmpty)
    #expect(
      failed.errorLines.last?.contains("odd_420.jpg: NewtonSchulz: no square root to a relative residual") == true)
  }

  private static let cifar = externalData("data/cifar10.tar.xz")

  @Test(
    .enabled(if: cifar != nil, "COVPOOL_TEST_DATA has no CIFAR-10"),
    arguments: [("resnet20", "resnet20-12fca82f.th", 8103), ("resnet32", "resnet32-d509ac18.th", 8256)])
  func `Networks that others trained get the published number of images right`(
    _ model: String, _ checkpoint: String, _ correct: Int
  ) throws {
    let scratch = try Scratch()
    let images = try #require(Self.cifar)
    let weights = try #require(externalData("data/checkpoints/\(checkpoint)"))
    let tar = Process()
    tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    tar.arguments = ["tar", "xJf", images.path, "-C", scratch.path, "test"]
    try tar.run()
    tar.waitUntilExit()
    try #require(tar.terminationStatus == 0)
    let run = try zooEval(
      model, "--checkpoint", weights.path, "--data", scratch.path + "/test", "--results", scratch.path + "/r.json")
    #expect(run.status == 0)
    let results = try #require(
      try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any])
    #expect(results["images"] as? Int == 10_000)
    #expect(abs((results["correct1"] as? Int ?? 0) - correct) <= 1)
  }
}
