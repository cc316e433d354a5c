import Foundation
import ToolTestSupport
import Testing
import Training

@Suite struct RecipeTests {
  @Test func `Published recipes by name, and stretched`() throws {
    let norm = try Recipe.find("LRnorm")
    #expect(norm.epochs == 100 && norm.batchSize == 256 && norm.weightDecay == 1e-4 && norm.momentum == 0.9)
    #expect([0, 29, 30, 99].map { norm.learningRate(at: $0) } == [0.1, 0.1, 0.1 * 0.1, 0.1 * pow(0.1, 3)])
    let fast = try Recipe.find("LRfast")
    #expect(fast.epochs == 30 && abs(fast.learningRate(at: 0) - 0.1233) < 1e-4)
    var half = norm
    half.epochs = 50
    // Epoch 15 of 50 is epoch 30 of 100.
    #expect(half.learningRate(at: 14) == 0.1 && half.learningRate(at: 15) == 0.1 * 0.1)
    #expect(try Recipe.find("LRadju").epochs == 50)
  }

  @Test func `A file changes what it names`() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/r.json"
    try scratch.write(
      "r.json",
      Array(
        #"{"base": "LRfast", "epochs": 7, "clipNorm": 2.5, "schedule": {"shape": {"cosine": {"epochs": 7}}, "warmup": 1, "isContinuous": true}}"#
          .utf8))
    let recipe = try Recipe.find(path)
    #expect(recipe.epochs == 7 && recipe.clipNorm == 2.5 && recipe.batchSize == 256)
    #expect(recipe.schedule == LearningRateSchedule(.cosine(epochs: 7), warmup: 1, isContinuous: true))
    for (text, wanted) in [
      (#"{"epoch": 7}"#, "unknown field 'epoch'"), (#"{"epochs": "many"}"#, "epochs"), ("[1]", "expected an object"),
      (#"{"momentum": 1}"#, "momentum must be in [0, 1), not 1.0"), ("{", "not JSON"),
      (#"{"base": "LRslow"}"#, "no recipe 'LRslow'"), (#"{"base": 3}"#, "base must be a recipe's name"),
      (#"{"epochs": 2.5}"#, "epochs must be a whole number, found 2.5"),
      (#"{"batchSize": 1e30}"#, "batchSize must be a whole number"),
      (#"{"augmentation": {"padding": 0.5, "flips": true, "colorJitter": 0}}"#, "augmentation.padding must be a whole"),
      (#"{"epochs": 9223372036854775807}"#, "epochs must be"), (#"{"epochs": 1000001}"#, "from 1 to 1000000"),
      (#"{"batchSize": 65537}"#, "batchSize must be from 1 to 65536, not 65537"), (#"{"epochs": null}"#, "epochs"),
      (#"{"learningRate": 1e300}"#, "learningRate must be positive"), (#"{"learningRate": 1e999}"#, "1e999"),
      (#"{"augmentation": {"padding": 1000000000, "flips": true, "colorJitter": 0}}"#, "from 0 to 1024"),
      ("{\"epochs\": 3,\n \"momentum\": nope}", "not JSON: Invalid value around"), ("", "not JSON"),
      (#"{"groups": [{"prefixes": ["fc"], "learningRateFactor": -5}]}"#, "learning rate factor must be 0 or more"),
      (#"{"schedule": {"shape": {"cosine": {"epochs": 0}}, "warmup": 0, "isContinuous": true}}"#, "epochs > 0"),
    ] {
      try scratch.write("r.json", Array(text.utf8))
      let error = #expect(throws: RecipeError.self) { try Recipe.find(path) }
      #expect(error?.description.contains(wanted) == true, "\(error?.description ?? "")")
    }
    #expect(throws: RecipeError.self) { try Recipe.find("LRslow") }
  }

  @Test func `Recipes that are based on themselves are said, however long the way`() throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.path + "/x", withIntermediateDirectories: true)
    func write(_ name: String, base: String) throws {
      try scratch.write(name, Array(#"{"base": "\#(scratch.path)/\#(base)", "epochs": 3}"#.utf8))
    }
    try write("self.json", base: "self.json")
    try write("dotted.json", base: "x/../dotted.json")
    try write("a.json", base: "b.json")
    try write("b.json", base: "c.json")
    try write("c.json", base: "a.json")
    for name in ["self.json", "dotted.json", "a.json"] {
      let error = #expect(throws: RecipeError.self) { try Recipe.find(scratch.path + "/" + name) }
      #expect(error?.description.contains("base leads back to itself: \(scratch.path)/\(name) → ") == true)
    }
    // A long way that ends is none of these.
    try scratch.write("r0.json", Array(#"{"epochs": 9}"#.utf8))
    for index in 1..<50 { try write("r\(index).json", base: "r\(index - 1).json") }
    #expect(try Recipe.find(scratch.path + "/r49.json").epochs == 3)
    try scratch.write("r0.json", Array(#"{"epochs": 0}"#.utf8))
    let error = #expect(throws: RecipeError.self) { try Recipe.find(scratch.path + "/r49.json") }
    #expect(error?.description == "\(scratch.path)/r0.json: epochs must be from 1 to 1000000, not 0")
  }

  @Test(
    arguments: [
      ["--epochs", "9223372036854775807"], ["--batch-size", "9223372036854775807"], ["--epochs", "1000001"],
      ["--threads", "0"], ["--limit", "0"], ["--save-interval", "nan"], ["--seed", "-1"],
      ["--batch-size", "99999999999999999999"],
    ])
  func `Numbers have ranges that are checked where they are read`(words: [String]) throws {
    let run = try runTool("zoo-train", ["resnet20", "--data", "/nowhere"] + words)
    #expect(run.status == 64 && run.errors.contains(words[0]), "\(run)")
  }

  @Test(
    arguments: [
      ["--learning-rate", "nan"], ["--learning-rate", "inf"], ["--learning-rate", "-1"], ["--weight-decay", "inf"],
      ["--label-smoothing", "1.5"], ["--classifier-rate", "nan"], ["--classifier-rate", "-1"],
    ])
  func `Numbers that no training could use are said`(words: [String]) throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 10)
    // '=' so that a minus is no option.
    let run = try runTool(
      "zoo-train",
      ["resnet20", "--data", scratch.path + "/data", "--output", scratch.path + "/run", words.joined(separator: "=")])
    #expect(run.status == 1 && run.errorLines.last?.contains(" must be ") == true, "\(run)")
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/run"))
  }

  @Test func `The recipe of the networks in the box is a recipe`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../Examples")
    let recipe = try Recipe.find(root.appending(path: "fashion-mnist/recipe.json").standardizedFileURL.path)
    #expect(recipe.name == "fashion-mnist" && recipe.augmentation.padding == 2)
  }
}

@Suite struct AugmentationTests {
  /// Pixels that count up, 8×6.
  private let image = Image(width: 8, height: 6, pixels: (0..<144).map { UInt8($0) })

  private func input(_ transform: TrainingTransform, _ position: Int) -> [Float] {
    let (height, width) = transform.outputSize
    return Tensor<Float>([3, height, width]) { transform(image, position: position, into: $0) }.scalars
  }

  private func transform(_ augmentation: Augmentation, seed: UInt64 = 1, epoch: Int = 0) -> TrainingTransform {
    let base = EvaluationTransform(
      resize: .exact(width: 8, height: 6), crop: nil, mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25])
    return TrainingTransform(base, augmentation, seed: seed, epoch: epoch)
  }

  @Test func `Half of the images are mirrored, the others untouched`() {
    let transform = transform(Augmentation())
    let plain = Tensor<Float>([3, 6, 8]) { transform.base(image, into: $0) }.scalars
    let mirrored = stride(from: 0, to: plain.count, by: 8).flatMap { plain[$0..<$0 + 8].reversed() }
    let inputs = (0..<200).map { input(transform, $0) }
    let count = inputs.count { $0 == mirrored }
    #expect((70...130).contains(count) && inputs.allSatisfy { $0 == mirrored || $0 == plain })
  }

  @Test func `Shifts are by at most the padding, with black coming in`() {
    var augmentation = Augmentation()
    (augmentation.padding, augmentation.flips) = (2, false)
    let transform = transform(augmentation)
    let plain = Tensor<Float>([3, 6, 8]) { transform.base(image, into: $0) }
    var seen: Set<[Int]> = []
    for position in 0..<300 {
      let got = Tensor([3, 6, 8], input(transform, position))
      let shift = (-2...2).flatMap { dy in (-2...2).map { [dy, $0] } }.first { shift in
        (0..<6).allSatisfy { y in
          (0..<8).allSatisfy { x in
            let (row, column) = (y + shift[0], x + shift[1])
            let inside = (0..<6).contains(row) && (0..<8).contains(column)
            return got[1, y, x] == (inside ? plain[1, row, column] : -2)
          }
        }
      }
      seen.insert(shift ?? [9])
    }
    #expect(seen.count == 25 && !seen.contains([9]))
  }

  @Test func `What happens to an image depends on seed, epoch and position alone`() {
    var augmentation = Augmentation.imageNet
    augmentation.colorJitter = 0.4
    let first = input(transform(augmentation), 3)
    #expect(input(transform(augmentation), 3) == first)
    #expect(input(transform(augmentation), 4) != first)
    #expect(input(transform(augmentation, seed: 2), 3) != first)
    #expect(input(transform(augmentation, epoch: 1), 3) != first)
    #expect(first.allSatisfy { (-2...2).contains($0) })
  }

  @Test func `An order is a permutation, another in every epoch`() {
    var random = RandomStream(seed: 1, name: "order").generator
    let (first, second) = (random.permutation(of: 1000), random.permutation(of: 1000))
    #expect(first.sorted() == Array(0..<1000) && first != second && first != first.sorted())
  }
}
