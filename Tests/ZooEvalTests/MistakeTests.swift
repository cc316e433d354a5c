import Foundation
import ModelZoo
import ToolTestSupport
import Testing

@Suite struct MistakeTests {
  /// One clear line on standard error, at most five below it, and exit 1.
  private func expectFailure(_ run: Run, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(run.status == 1, sourceLocation: sourceLocation)
    #expect((1...6).contains(run.errorLines.count), "\(run.errors)", sourceLocation: sourceLocation)
    #expect(run.errorLines.first?.hasPrefix("error: ") == true, sourceLocation: sourceLocation)
    for word in words { #expect(run.errors.contains(word), "\(run.errors)", sourceLocation: sourceLocation) }
  }

  @Test func `Mistakes of usage exit with 64`() throws {
    for arguments in [["--list", "resnet18"], [], ["resnet20", "--threads", "0"], ["resnet20", "--frobnicate"]] {
      let run =
        switch arguments.count {
        case 0: try zooEval()
        case 2: try zooEval(arguments[0], arguments[1])
        default: try zooEval(arguments[0], arguments[1], arguments[2])
        }
      #expect(run.status == 64 && run.errors.contains("Usage"))
    }
    #expect(try zooEval("resnet20", "--results", "r.txt").status == 64)
    #expect(try zooEval("resnet20", "--data", "d", "a.jpg").status == 64)
  }

  @Test func `Unknown models, absent files and directories are named`() throws {
    expectFailure(try zooEval("resnet20-fastmp"), "unknown model 'resnet20-fastmp'", "resnet20-fastmpn")
    expectFailure(try zooEval("resnet20", "--checkpoint", "/nowhere.pth"), "/nowhere.pth")
    expectFailure(try zooEval("resnet20", "--data", "/nowhere"), "/nowhere: no such directory")
    expectFailure(try zooEval("resnet20-mpn", "--iterations", "3"), "--iterations is for Fast-MPN networks")
    expectFailure(
      try zooEval("resnet20", "--data", "/nowhere", "--results", "/nowhere/r.json"),
      "/nowhere/r.json: cannot be written")
  }

  @Test func `Normalizations are named with what is allowed`() throws {
    let unknown = try zooEval("resnet20-mpn", "--normalization", "mnp")
    #expect(unknown.status == 64 && unknown.errors.contains("unknown normalization 'mnp'; there are none, dropcov"))
    expectFailure(try zooEval("resnet20", "--normalization", "power"), "networks with a covariance head")
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork("fastmpn.safetensors", .fastmpn)
    expectFailure(
      try zooEval("resnet20-fastmpn", "--checkpoint", checkpoint, "--normalization", "svpn"),
      "missing: normalization.weight")
    // Too few iterations for the tolerance: the image is named.
    let run = try zooEval(
      "resnet20-fastmpn", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--normalization",
      "newton-schulz:iterations=2,tolerance=1e-6")
    #expect(run.status == 1 && run.errorLines.count == 2, "\(run.errors)")
    #expect(run.errors.contains("was trained with the normalization newton-schulz; it runs with"))
    #expect(
      run.errors.contains(
        "#0: NewtonSchulz: no square root to a relative residual of 1e-06 after 2 iterations; found 0."))
  }

  @Test func `Damaged checkpoints leave no file behind`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 2)
    let whole = try Data(contentsOf: URL(fileURLWithPath: scratch.writeNetwork()))
    for length in [0, 1, 7, 8, 100, whole.count / 2, whole.count - 1] {
      try scratch.write("damaged.safetensors", whole.prefix(length))
      let run = try zooEval(
        "resnet20", "--checkpoint", scratch.path + "/damaged.safetensors", "--data", scratch.path + "/data",
        "--results", scratch.path + "/r.json", "--predictions", scratch.path + "/p.csv")
      expectFailure(run, "damaged.safetensors")
      #expect(!FileManager.default.fileExists(atPath: scratch.path + "/r.json"))
      #expect(!FileManager.default.fileExists(atPath: scratch.path + "/p.csv"))
    }
  }

  @Test func `A pickle that calls os.system is refused by name and not obeyed`() throws {
    let scratch = try Scratch()
    // cos\nsystem\n(S'touch …'\ntR. after PyTorch's legacy header would do as well; a bare pickle is enough here.
    let victim = scratch.path + "/obeyed"
    try scratch.write("evil.pth", Array("cos\nsystem\n(S'touch \(victim)'\ntR.".utf8))
    let run = try zooEval("resnet20", "--checkpoint", scratch.path + "/evil.pth")
    expectFailure(run, "evil.pth")
    #expect(!FileManager.default.fileExists(atPath: victim))
  }

  @Test func `Tensors that do not fit are listed, capped`() throws {
    let scratch = try Scratch()
    let checkpoint = try scratch.writeNetwork { tensors in
      for index in tensors.indices { tensors[index].name = "x" + tensors[index].name }
      tensors.append(("conv1.weight", Tensor([16, 3, 3, 3], repeating: 0)))
    }
    let run = try zooEval("resnet20", "--checkpoint", checkpoint)
    expectFailure(run, "missing: bn1.weight", "more")
    #expect(run.errorLines.count == 6)
  }

  @Test func `A stem for other than colour and grey images is refused, one for grey images runs`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let picture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
      path: "../VisionTests/Resources/odd_420.jpg"
    ).path
    for channels in [0, 1, 2, 4] {
      let checkpoint = try scratch.writeNetwork {
        $0[0].tensor = Tensor([16, channels, 3, 3], unit("stem", count: 144 * channels))
      }
      for arguments in [["--data", scratch.path + "/data"], [picture]] {
        let run = try runTool("zoo-eval", ["resnet20", "--checkpoint", checkpoint] + arguments)
        if channels == 1 {
          #expect(run.status == 0, "\(run.errors)")
        } else {
          expectFailure(run, "has \(channels) input channels; images have 3, or 1 if grey")
        }
      }
    }
    for entry in Zoo.entries {
      let configuration = entry.configuration
      let grey = configuration.architecture.input(configuration.backbone, channels: 1)
      #expect(grey.channels == 1 && configuration.input.channels == 3, "\(entry.name)")
    }
  }

  @Test func `Results go where they were asked to go`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork()
    func run(_ arguments: String...) throws -> Run {
      try runTool(
        "zoo-eval", ["resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data"] + arguments)
    }
    try scratch.write("real.csv", Array("old".utf8))
    try FileManager.default.createSymbolicLink(
      atPath: scratch.path + "/link.csv", withDestinationPath: scratch.path + "/real.csv")
    #expect(try run("--predictions", scratch.path + "/link.csv", "--results", "/nowhere/r.json").status == 1)
    #expect(try scratch.read("real.csv") == "old")
    #expect(try run("--predictions", scratch.path + "/link.csv").status == 0)
    #expect(try scratch.read("real.csv").hasPrefix("path,label"))
    #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: scratch.path + "/link.csv")) != nil)
    let pipe = try runShell(
      "cd \(quoted(scratch.path)) && mkfifo pipe && (timeout 60 cat pipe > read.csv &) && "
        + "\"$TOOL\" resnet20 --checkpoint \(quoted(checkpoint)) --data data "
        + "--predictions pipe && test -p pipe", tool: "zoo-eval")
    #expect(pipe.status == 0, "\(pipe.errors)")
    expectFailure(try run("--predictions", scratch.path), "it is a directory")
    #expect(try run("--predictions", "r.csv", "--results", "r.csv").status == 64)
    #expect(try run("--batch-size", "4611686018427387904").status == 64)
  }

  @Test func `NaN in the weights is warned of, and in the results an error`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork { $0[0].tensor = Tensor($0[0].tensor.shape, repeating: .nan) }
    let run = try zooEval(
      "resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--results", scratch.path + "/r.json")
    #expect(run.status == 1 && run.errors.contains("NaN") && run.errors.contains("conv1.weight"))
    #expect(
      run.errorLines.last?.hasSuffix(
        "test_batch.bin#0: conv1 (Convolution2d + BatchNormalization + ReLU): not all numbers are finite") == true)
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/r.json"))
    let variance = try scratch.writeNetwork { tensors in
      for index in tensors.indices where tensors[index].name == "bn1.running_var" {
        tensors[index].tensor = Tensor([16], repeating: -1)
      }
    }
    #expect(
      try zooEval("resnet20", "--checkpoint", variance, "--data", scratch.path + "/data").errors.contains(
        "negative variances in bn1.running_var"))
  }

  @Test func `Data that does not fit the network, an empty folder, wrong labels`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 10)
    expectFailure(
      try zooEval("resnet20", "--checkpoint", scratch.writeNetwork(classes: 4), "--data", scratch.path + "/data"),
      "labels go up to 9", "4 classes")
    try scratch.write("empty/notes.txt", [65])
    expectFailure(try zooEval("resnet20", "--data", scratch.path + "/empty"), "empty", "neither images")
    try scratch.write("flat/a.jpg", [1])
    try scratch.write("labels.txt", Array("1\n2\n".utf8))
    expectFailure(
      try zooEval("resnet20", "--data", scratch.path + "/flat", "--labels", scratch.path + "/labels.txt"),
      "2 labels for 1 image")
    expectFailure(
      try zooEval("resnet20", "--checkpoint", scratch.writeNetwork(), "--data", scratch.path + "/flat"),
      "none of the 1 images could be read", "a.jpg")
  }

  @Test func `A result that cannot be written is an error`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 2)
    let run = try zooEval(
      "resnet20", "--checkpoint", scratch.writeNetwork(), "--data", scratch.path + "/data", "--results",
      scratch.path + "/no/such/folder/r.json")
    expectFailure(run, "r.json")
  }
}

@Suite struct ListTests {
  @Test func `The list as JSON has every entry with its counts`() throws {
    let run = try zooEval("--list", "--format", "json")
    #expect(run.status == 0)
    let rows = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]])
    #expect(rows.count == Zoo.entries.count)
    let row = try #require(rows.first { $0["model"] as? String == "resnet101-fastmpn" })
    #expect(row["parameters"] as? Int == 75_921_960 && row["macs"] as? Int == 10_054_448_128)
    #expect(row["dimension"] as? Int == 256 && row["flavour"] as? String == "pytorch")
    #expect(row["publishedTop1"] as? Double == 79.47 && row["source"] as? String == "CVPR 2020")
    for row in rows {
      for key in ["model", "parameters", "macs", "dimension", "flavour", "publishedTop1", "source"] {
        #expect(row[key] != nil, "\(key)")
      }
    }
  }

  @Test func `The list as a table and as Markdown has a line for each`() throws {
    #expect(try zooEval("--list").output.split(separator: "\n").count == Zoo.entries.count + 1)
    let markdown = try zooEval("--list", "--format", "markdown").output.split(separator: "\n")
    #expect(markdown.count == Zoo.entries.count + 2)
    #expect(markdown.allSatisfy { $0.hasPrefix("| ") && $0.hasSuffix(" |") })
    #expect(Set(markdown.map { $0.filter { $0 == "|" }.count }).count == 1)
  }
}
