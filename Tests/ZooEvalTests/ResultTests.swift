import Files
import Foundation
import ModelZoo
import Testing
import ToolTestSupport

@Suite struct ResultTests {
  private static let picture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
    path: "../VisionTests/Resources/odd_420.jpg"
  ).path

  private func json(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func `Images on the command line have predictions and results too`() throws {
    let scratch = try Scratch()
    let checkpoint = try scratch.writeNetwork()
    let run = try zooEval(
      "resnet20", "--checkpoint", checkpoint, Self.picture, "--predictions", scratch.path + "/p.csv", "--results",
      scratch.path + "/r.json")
    #expect(run.status == 0, "\(run)")
    let rows = try scratch.read("p.csv").split(separator: "\n")
    #expect(rows.count == 2 && rows[1].hasPrefix(Self.picture + ",,"))
    let results = try json(scratch.read("r.json"))
    #expect(results["images"] as? Int == 1 && results["failed"] as? Int == 0 && results["top1"] is NSNull)
    let predictions = try #require(results["predictions"] as? [[String: Any]])
    let classes = try #require(predictions[0]["classes"] as? [[String: Any]])
    let best = try Classifier("resnet20", checkpoint: checkpoint).classify(contentsOf: Self.picture)[0]
    #expect(
      classes.count == 5 && classes[0]["index"] as? Int == best.index && classes[0]["name"] as? String == best.name)
    #expect(rows[1].split(separator: ",")[1] == "\(best.index)")
  }

  @Test(arguments: [["--json"], ["--results", "-"]])
  func `JSON on standard output stands there alone, its keys sorted`(words: [String]) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 4)
    let checkpoint = try scratch.writeNetwork()
    for arguments in [["--data", scratch.path + "/data"], [Self.picture], ["--batch-size", "1"]] {
      let run = try runTool("zoo-eval", ["resnet20", "--checkpoint", checkpoint] + arguments + words)
      #expect(run.status == 0, "\(run)")
      _ = try json(run.output)
      let keys = run.output.split(separator: "\n").filter { $0.hasPrefix("  \"") }.map {
        $0.dropFirst(3).prefix { $0 != "\"" }
      }
      #expect(keys == keys.sorted() && keys.contains("model"))
    }
    let table = try zooEval(
      "resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--predictions", "-")
    #expect(
      table.status == 0 && table.output.split(separator: "\n").count == 5 && table.output.hasPrefix("path,label,"))
    #expect(try zooEval("resnet20", "--json", "--predictions", "-", Self.picture).status == 64)
  }

  @Test func `Many networks make one table`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 4)
    let table = scratch.path + "/r.csv"
    for (model, head) in [("resnet20", PublishedHead.gap), ("resnet20-fastmpn", .fastmpn), ("resnet20", .gap)] {
      let checkpoint = try scratch.writeNetwork("n.safetensors", head)
      let run = try zooEval(model, "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--results", table)
      #expect(run.status == 0, "\(run)")
    }
    let lines = try scratch.read("r.csv").split(separator: "\n")
    #expect(lines.count == 4 && lines[2].hasPrefix("resnet20-fastmpn.d8,") && lines[0].hasPrefix("model,checkpoint,"))
    // What is no table is neither added to nor lost.
    try scratch.write("other.csv", Array("a,b\n1,2\n".utf8))
    let run = try zooEval("resnet20", "--data", scratch.path + "/data", "--results", scratch.path + "/other.csv")
    #expect(run.status == 1 && run.errorLines.last?.contains("is no table of results to add a row to") == true)
    #expect(try scratch.read("other.csv") == "a,b\n1,2\n")
  }

  @Test func `Runs at one time lose no row of a table`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 2)
    let checkpoint = try scratch.writeNetwork()
    let (table, data) = (scratch.path + "/t.csv", scratch.path + "/data")
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      _ = try? zooEval("resnet20", "--checkpoint", checkpoint, "--data", data, "--results", table)
    }
    #expect(try scratch.read("t.csv").split(separator: "\n").count == 9)
  }

  @Test func `A file that may not grow is an error of writing`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 40)
    let checkpoint = try scratch.writeNetwork()
    let run = try runShell(
      "cd '\(scratch.path)' && ulimit -f 1 && \"$TOOL\" resnet20 --checkpoint '\(checkpoint)' --data data --predictions p.csv",
      tool: "zoo-eval")
    #expect(run.status == 1 && run.errors.contains("error: p.csv: cannot be written: File too large"), "\(run)")
    #expect(try directoryEntries(scratch.path).allSatisfy { !$0.contains("p.csv") })
  }

  @Test func `A file is never an input and an output`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = try scratch.writeNetwork()
    try scratch.write("flat/0.jpg", try Data(contentsOf: URL(fileURLWithPath: Self.picture)))
    try scratch.write("labels.csv", Array("0\n".utf8))
    symlink(checkpoint, scratch.path + "/link.csv")
    let before = try Data(contentsOf: URL(fileURLWithPath: checkpoint))
    func fails(_ words: String..., with message: String) throws {
      let run = try runShell(
        "cd '\(scratch.path)' && \"$TOOL\" resnet20 --checkpoint network.safetensors "
          + words.map { "'\($0)'" }.joined(separator: " "), tool: "zoo-eval")
      #expect(run.status == 1 || run.status == 64, "\(run)")
      #expect(run.errors.contains(message), "\(run.errors)")
    }
    try fails(
      "--data", "data", "--predictions", "network.safetensors", with: "--predictions and --checkpoint are the same file"
    )
    try fails("--data", "data", "--predictions", "./network.safetensors", with: "are the same file")
    try fails("--data", "data", "--results", "link.csv", with: "--results and --checkpoint are the same file")
    try fails("--data", "flat", "--labels", "labels.csv", "--predictions", "flat/../labels.csv", with: "--labels")
    try fails("--data", "data", "--predictions", "r.csv", "--results", "./r.csv", with: "are the same file")
    try fails("--data", "data", "--predictions", "data/test_batch.bin", with: "would overwrite a file of the data")
    try scratch.write("folders/cat/0.jpg", try Data(contentsOf: URL(fileURLWithPath: Self.picture)))
    try fails("--data", "folders", "--predictions", "folders/cat/0.jpg", with: "would overwrite a file of the data")
    try scratch.write("table.csv", Array("a,b\n".utf8))
    try fails("--explain", "--results", "table.csv", with: "is no table of steps")
    try fails("flat/0.jpg", "--predictions", "flat/./0.jpg", with: "an image are the same file")
    try fails("--data", "data", "--predictions", "no/such/p.csv", with: "cannot be written")
    #expect(try Data(contentsOf: URL(fileURLWithPath: checkpoint)) == before)
    #expect(try scratch.read("labels.csv") == "0\n")
  }

  @Test func `Names whose bytes are no text go through the tool as they are`() throws {
    let scratch = try Scratch()
    let checkpoint = try scratch.writeNetwork()
    let picture = Self.picture
    let run = try runShell(
      """
      cd '\(scratch.path)' && e=$(printf '\\351') && mkdir -p d/a d/"${e}t$e" && cp '\(picture)' d/a/0.jpg &&
      cp '\(picture)' d/"${e}t$e/caf$e.jpg" && mv network.safetensors "n$e" &&
      "$TOOL" resnet20 --checkpoint "n$e" --data d --predictions "out$e.csv" --results "r$e.json" &&
      "$TOOL" resnet20 --checkpoint "n$e" d/"${e}t$e/caf$e.jpg" && ls | od -c
      """, tool: "zoo-eval")
    #expect(run.status == 0, "\(run)")
    #expect(run.output.contains("2 images in 2 folders") && run.output.contains(#"d/\xE9t\xE9/caf\xE9.jpg"#))
    let names = try directoryEntries(scratch.path)
    let odd = String(fileSystemBytes: [0xE9])
    #expect(names.contains("out\(odd).csv") && names.contains("r\(odd).json"))
    let table = String(decoding: try readFile(scratch.path + "/out\(odd).csv"), as: UTF8.self)
    #expect(table.contains("\na/0.jpg,0,") && table.contains("\n" + #"\xE9t\xE9/caf\xE9.jpg,1,"#))
    #expect(String(decoding: try readFile(scratch.path + "/r\(odd).json"), as: UTF8.self).contains(#""n\\xE9""#))
    _ = checkpoint
  }

  @Test func `Control characters of names are shown, not obeyed`() throws {
    let scratch = try Scratch()
    let name = "a\u{1B}]0;title\u{7}b.jpg"
    try scratch.write(name, try Data(contentsOf: URL(fileURLWithPath: Self.picture)))
    let run = try zooEval("resnet20", scratch.path + "/" + name, scratch.path + "/\u{1B}[2J.jpg")
    #expect(run.status == 2)
    #expect(run.output.contains(#"a\u{1B}]0;title\u{7}b.jpg"#) && run.errors.contains(#"\u{1B}[2J.jpg"#))
    #expect(!(run.output + run.errors).unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
  }

  @Test func `A file of the package names its model, and an argument is then an image`() throws {
    let scratch = try Scratch()
    let checkpoint = try box("resnet20-dropcov")
    let run = try zooEval("--checkpoint", checkpoint, Self.picture)
    #expect(run.status == 0 && run.output.hasPrefix(Self.picture), "\(run)")
    let named = try zooEval("resnet20-dropcov", "--checkpoint", checkpoint, Self.picture)
    #expect(named.output == run.output)
    let report = try zooEval("--checkpoint", checkpoint, "--batch-size", "1")
    #expect(report.status == 0 && report.output.hasPrefix("resnet20-dropcov:"), "\(report)")
    #expect(report.errors.contains("name a directory with --data"))
    // By the names of its tensors, where nothing else says it.
    let plain = try scratch.writeNetwork("plain.safetensors", .mpn)
    #expect(try zooEval("--checkpoint", plain, "--batch-size", "1").output.hasPrefix("resnet20-fastmpn.d8:"))
    // What is neither a model nor a file is a model that is not there.
    let unknown = try zooEval("resnet2O", "--checkpoint", checkpoint)
    #expect(unknown.status == 1 && unknown.errors.contains("unknown model 'resnet2O'"))
  }

  @Test func `Labels that were guessed are said in the last line`() throws {
    let scratch = try Scratch()
    let picture = try Data(contentsOf: URL(fileURLWithPath: Self.picture))
    for name in ["x", "y", "z"] { try scratch.write("data/\(name)/0.jpg", picture) }
    let checkpoint = try scratch.writeNetwork()
    let run = try zooEval(
      "resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--results", scratch.path + "/r.json")
    #expect(
      run.status == 0 && run.output.split(separator: "\n").last?.hasPrefix("the accuracy may mean nothing:") == true)
    #expect((try json(scratch.read("r.json"))["labels"] as? String)?.contains("may mean nothing") == true)
    let meant = try zooEval("resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--sorted-labels")
    #expect(meant.status == 0 && !meant.output.contains("may mean nothing"))
    try scratch.write("data/cat/0.jpg", picture)
    let mixed = try zooEval("resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data")
    #expect(
      mixed.status == 1 && mixed.errors.contains("1 of 4 folders are called by classes of the network, but not 'x'"))
  }

  @Test func `Labels may be a stream`() throws {
    let scratch = try Scratch()
    try scratch.write("flat/0.jpg", try Data(contentsOf: URL(fileURLWithPath: Self.picture)))
    let checkpoint = try scratch.writeNetwork()
    let run = try runShell(
      "cd '\(scratch.path)' && echo 3 | \"$TOOL\" resnet20 --checkpoint '\(checkpoint)' --data flat --labels /dev/stdin",
      tool: "zoo-eval")
    #expect(run.status == 0 && run.output.contains("labels from a file"), "\(run)")
  }

  @Test func `An interruption keeps what was done under a name that says so`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 4000)
    let checkpoint = try scratch.writeNetwork()
    try scratch.write("p.csv.partial", Array("mine".utf8))
    var delay = 0.3
    while true {
      let run = try runShell(
        "cd '\(scratch.path)' && exec timeout --preserve-status -s INT \(delay) \"$TOOL\" resnet20 --checkpoint "
          + "'\(checkpoint)' --data data --predictions p.csv --results r.json --batch-size 4", tool: "zoo-eval")
      // On a slow machine nothing may have been done yet, on a fast one all.
      guard run.errors.contains("stopped after"), run.errors.contains("partial-2") else {
        delay *= run.status == 0 ? 0.5 : 1.5
        #expect(delay < 60 && delay > 0.001)
        if delay >= 60 || delay <= 0.001 { return }
        try? FileManager.default.removeItem(atPath: scratch.path + "/p.csv")
        continue
      }
      #expect(run.status == 130 && run.errors.contains("so far; their predictions are in p.csv.partial-2"), "\(run)")
      break
    }
    #expect(try scratch.read("p.csv.partial") == "mine")
    #expect(try scratch.read("p.csv.partial-2").split(separator: "\n").count > 1)
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/p.csv"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/r.json"))
  }
}
