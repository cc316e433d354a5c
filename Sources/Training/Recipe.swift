import Files
import Foundation
import NeuralNetworks
import Vision

/// Everything about training but the network, the data and the seed. A JSON file of one gives the fields it wants changed.
public struct Recipe: Hashable, Sendable, Codable {
  /// What it is called.
  public var name = "custom"
  /// Passes over the data.
  public var epochs = 100
  /// The epochs that the schedule was made for; it is stretched to `epochs`.
  public var scheduleEpochs = 100.0
  /// Images in a step.
  public var batchSize = 256
  /// The rate that the schedule's factor multiplies.
  public var learningRate = 0.1
  /// The rate over the epochs.
  public var schedule = LearningRateSchedule(.step(epochs: 30, factor: 0.1))
  /// How parameters are moved.
  public var optimizer = OptimizerKind.sgd
  /// SGD's momentum.
  public var momentum = 0.9
  /// Whether SGD looks ahead.
  public var nesterov = false
  /// Weight decay of all parameters that no group says otherwise of.
  public var weightDecay = 1e-4
  /// Parameters that are treated differently.
  public var groups: [ParameterGroup] = []
  /// The share of the target that is spread over all classes.
  public var labelSmoothing = 0.0
  /// The largest common norm of all gradients.
  public var clipNorm: Double?
  /// The share of the old mean in a running mean of the weights, which then is what is evaluated and kept as best.
  public var averageDecay: Double?
  /// What is changed at random in the images.
  public var augmentation = Augmentation.imageNet

  /// The optimisers there are.
  public enum OptimizerKind: String, Hashable, Sendable, Codable, CaseIterable {
    case sgd, adamw
  }

  /// LRnorm's fields.
  public init() {}

  /// 100 epochs, a tenth of the rate every 30 (Wang et al., CVPR 2020).
  public static let lrNorm: Recipe = {
    var recipe = Recipe()
    recipe.name = "LRnorm"
    return recipe
  }()

  /// 30 epochs, (1 − (e − 1) / 52)¹¹ (Wang et al., CVPR 2020).
  public static let lrFast: Recipe = {
    var recipe = Recipe()
    (recipe.name, recipe.epochs, recipe.scheduleEpochs) = ("LRfast", 30, 30)
    recipe.schedule = LearningRateSchedule(.polynomial(epochs: 53, power: 11))
    return recipe
  }()

  /// 50 epochs, (1 − (e − 1) / 49)² (Wang et al., CVPR 2020).
  public static let lrAdju: Recipe = {
    var recipe = Recipe()
    (recipe.name, recipe.epochs, recipe.scheduleEpochs) = ("LRadju", 50, 50)
    recipe.schedule = LearningRateSchedule(.polynomial(epochs: 50, power: 2))
    return recipe
  }()

  /// For small images: batches of 128, a cosine after one epoch of warm-up, shifted and mirrored images.
  public static let small: Recipe = {
    var recipe = Recipe()
    (recipe.name, recipe.epochs, recipe.scheduleEpochs, recipe.batchSize) = ("small", 12, 12, 128)
    recipe.schedule = LearningRateSchedule(.cosine(epochs: 12), warmup: 1, isContinuous: true)
    recipe.nesterov = true
    recipe.weightDecay = 5e-4
    recipe.augmentation = .small
    return recipe
  }()

  /// The recipes with names.
  public static let named: [Recipe] = [lrNorm, lrFast, lrAdju, small]

  /// The rate after `progress` of `epochs` epochs.
  public func learningRate(at progress: Double) -> Double {
    // In the schedule's own epochs: e · E₀ / E.
    var factor = progress * scheduleEpochs / Double(epochs)
    // A whole epoch must stay one in spite of rounding.
    if abs(factor - factor.rounded()) < 1e-9 { factor = factor.rounded() }
    return learningRate * schedule.factor(at: factor)
  }

  /// The recipe called `name`, or the one in the JSON file of that path.
  /// - Throws: `RecipeError`.
  public static func find(_ name: String) throws -> Recipe {
    if let recipe = named.first(where: { $0.name == name }) { return recipe }
    guard name.hasSuffix(".json") else {
      throw RecipeError(
        "no recipe '\(name)'; there are \(named.map(\.name).joined(separator: ", ")), or name a .json file")
    }
    let data: Data
    do { data = try readStream(name, limit: 1 << 24) } catch { throw RecipeError(error.description) }
    do {
      return try merged(with: data)
    } catch let error as RecipeError {
      throw RecipeError("\(name): \(error.description)")
    } catch { throw RecipeError("\(name): \(describe(error))") }
  }

  /// The recipe `base` names (by default `small`) with the fields of a JSON object in place of its own.
  private static func merged(with data: Data) throws -> Recipe {
    guard let changes = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw RecipeError("expected an object of a recipe's fields")
    }
    let base = try (changes["base"] as? String).map(find) ?? small
    let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(base)) as? [String: Any] ?? [:]
    let optional: Set = ["base", "clipNorm", "averageDecay"]
    if let unknown = changes.keys.filter({ encoded[$0] == nil && !optional.contains($0) }).min() {
      throw RecipeError("unknown field '\(unknown)'; there are \(encoded.keys.sorted().joined(separator: ", "))")
    }
    let whole = encoded.merging(changes) { $1 }
    let recipe = try JSONDecoder().decode(Recipe.self, from: JSONSerialization.data(withJSONObject: whole))
    try recipe.validate()
    return recipe
  }

  /// - Throws: `RecipeError` for a number that no training could use.
  public func validate() throws {
    func check(_ isGood: Bool, _ name: String, _ value: Any, _ wanted: String) throws {
      guard isGood else { throw RecipeError("\(name) must be \(wanted), not \(value)") }
    }
    try check(epochs >= 1, "epochs", epochs, "at least 1")
    try check(batchSize >= 1, "batchSize", batchSize, "at least 1")
    try check(learningRate > 0 && learningRate.isFinite, "learningRate", learningRate, "positive")
    try check(scheduleEpochs > 0, "scheduleEpochs", scheduleEpochs, "positive")
    try check((0..<1).contains(momentum), "momentum", momentum, "in [0, 1)")
    try check(weightDecay >= 0 && weightDecay.isFinite, "weightDecay", weightDecay, "0 or more")
    try check((0...1).contains(labelSmoothing), "labelSmoothing", labelSmoothing, "in [0, 1]")
    try check((clipNorm ?? 1) > 0, "clipNorm", clipNorm ?? 0, "positive")
    try check((0..<1).contains(averageDecay ?? 0), "averageDecay", averageDecay ?? 0, "in [0, 1)")
    try check(augmentation.padding >= 0, "augmentation.padding", augmentation.padding, "0 or more")
    try check(augmentation.colorJitter >= 0, "augmentation.colorJitter", augmentation.colorJitter, "0 or more")
    try check(schedule.warmup >= 0 && schedule.warmup.isFinite, "schedule.warmup", schedule.warmup, "0 or more")
    switch schedule.shape {
    case .constant: break
    case .step(let epochs, let factor):
      try check(epochs > 0 && factor > 0, "schedule.shape", schedule.shape, "a step after epochs > 0 by a factor > 0")
    case .polynomial(let epochs, let power):
      try check(epochs > 1 && power > 0, "schedule.shape", schedule.shape, "a polynomial of epochs > 1 and power > 0")
    case .cosine(let epochs): try check(epochs > 0, "schedule.shape", schedule.shape, "a cosine of epochs > 0")
    }
    for group in groups {
      let factor = group.learningRateFactor
      try check(factor >= 0 && factor.isFinite, "a group's learning rate factor", factor, "0 or more")
      try check((group.weightDecay ?? 0) >= 0, "a group's weight decay", group.weightDecay ?? 0, "0 or more")
    }
    if let area = augmentation.resizedCrop {
      try check(area.lowerBound > 0 && area.upperBound <= 1, "augmentation.resizedCrop", area, "within (0, 1]")
    }
  }
}

/// What is wrong with a recipe.
public struct RecipeError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// One line of what a decoder found.
private func describe(_ error: any Error) -> String {
  guard let error = error as? DecodingError else { return "not JSON" }
  switch error {
  case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
    .dataCorrupted(let context):
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
  @unknown default: return "\(error)"
  }
}
