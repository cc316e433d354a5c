import NeuralNetworks

extension ShuffleNetV2Architecture {
  /// As in CVPR 2020, by the authors' code: batches of 1024, weight decay 4·10⁻⁵, a rate that falls to 0 in a straight line, step
  /// by step.
  public static let recipes: [Recipe] =
    [("LRnorm", 240), ("LRfast", 60), ("LRadju", 100)].map { name, epochs in
      var recipe = Recipe()
      (recipe.name, recipe.epochs, recipe.scheduleEpochs, recipe.batchSize) = (name, epochs, Double(epochs), 1024)
      (recipe.learningRate, recipe.weightDecay) = (0.5, 4e-5)
      recipe.schedule = LearningRateSchedule(
        .piecewiseLinear(epochs: [0, Double(epochs)], factors: [1, 0]), isContinuous: true)
      recipe.augmentation.colorJitter = 0.4
      return recipe
    } + [.small, .finetune]
}
