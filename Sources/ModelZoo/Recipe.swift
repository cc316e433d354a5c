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
  /// Names, or what stands before the dot of names, of parameters that are not learned.
  public var frozen: [String] = []
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

  /// For other data, from weights of a paper: the rate that suits them, five times as high for the classifier, mirrored images
  /// (iSQRT-COV's fine-grained experiments, Li et al. 2018).
  public static let finetune: Recipe = {
    var recipe = Recipe()
    (recipe.name, recipe.epochs, recipe.scheduleEpochs, recipe.batchSize) = ("finetune", 100, 100, 10)
    (recipe.learningRate, recipe.weightDecay) = (1.2e-3, 1e-3)
    recipe.schedule = LearningRateSchedule(.constant)
    recipe.groups = [ParameterGroup(["fc", "linear", "classifier"], learningRateFactor: 5)]
    recipe.augmentation = Augmentation()
    return recipe
  }()

  /// The recipes with names, as residual networks were trained; other architectures may have others by the same names.
  public static let named: [Recipe] = [lrNorm, lrFast, lrAdju, small, finetune]

  /// The rate after `progress` of `epochs` epochs.
  public func learningRate(at progress: Double) -> Double {
    // In the schedule's own epochs: e · E₀ / E.
    var factor = progress * scheduleEpochs / Double(epochs)
    // A whole epoch must stay one in spite of rounding.
    if abs(factor - factor.rounded()) < 1e-9 { factor = factor.rounded() }
    return learningRate * schedule.factor(at: factor)
  }
}
