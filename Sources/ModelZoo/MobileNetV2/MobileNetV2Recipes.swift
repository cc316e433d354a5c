import NeuralNetworks

extension MobileNetV2Architecture {
  /// As in CVPR 2020, by the authors' code: batches of 96 or 192, weight decay 4·10⁻⁵, a rate for each epoch.
  public static let recipes: [Recipe] = {
    var norm = Recipe()
    (norm.name, norm.epochs, norm.scheduleEpochs, norm.batchSize) = ("LRnorm", 400, 400, 96)
    (norm.learningRate, norm.weightDecay) = (0.045, 4e-5)
    norm.schedule = LearningRateSchedule(.step(epochs: 1, factor: 0.98))
    var fast = norm
    (fast.name, fast.epochs, fast.scheduleEpochs, fast.learningRate) = ("LRfast", 100, 100, 0.06)
    fast.schedule = LearningRateSchedule(.step(epochs: 1, factor: 0.92))
    var adjusted = fast
    (adjusted.name, adjusted.epochs, adjusted.scheduleEpochs, adjusted.batchSize) = ("LRadju", 150, 150, 192)
    // 0.06, 0.01, 0.001 and 0.00001.
    adjusted.schedule = LearningRateSchedule(
      .piecewiseLinear(epochs: [0, 50, 100, 150], factors: [1, 1 / 6.0, 1 / 60.0, 1 / 6000.0]))
    return [norm, fast, adjusted, .small, .finetune]
  }()
}
