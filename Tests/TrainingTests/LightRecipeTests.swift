import Testing
import Training

/// Rates of the light networks' recipes, worked out by hand from the authors' code.
@Suite struct LightRecipeTests {
  private func recipe(_ model: String, _ name: String) throws -> Recipe {
    let configuration = try Zoo.entry(named: model).configuration
    let recipe = try Recipe.find(name, among: configuration.architecture.recipes)
    try recipe.validate()
    return recipe
  }

  @Test func `MobileNetV2's rates change by the epoch`() throws {
    let norm = try recipe("mobilenet_v2", "LRnorm")
    #expect(norm.epochs == 400 && norm.batchSize == 96 && norm.weightDecay == 4e-5)
    #expect(
      abs(norm.learningRate(at: 0) - 0.045) < 1e-12 && abs(norm.learningRate(at: 2.7) - 0.045 * 0.98 * 0.98) < 1e-12)
    #expect(try abs(recipe("mobilenet_v2-fastmpn", "LRfast").learningRate(at: 99) - 1.560077e-5) < 1e-10)
    let adjusted = try recipe("mobilenet_v2", "LRadju")
    for (epoch, rate) in [
      (0, 0.06), (25, 0.035), (50, 0.01), (75, 0.0055), (100, 0.001), (125, 0.000505), (149, 2.98e-5),
    ] {
      #expect(abs(adjusted.learningRate(at: Double(epoch)) - rate) < 1e-8, "epoch \(epoch)")
    }
  }

  @Test func `ShuffleNetV2's rates fall with every step`() throws {
    for (name, epochs) in [("LRnorm", 240.0), ("LRfast", 60), ("LRadju", 100)] {
      let recipe = try recipe("shufflenet_v2_x1_0", name)
      #expect(recipe.batchSize == 1024 && Double(recipe.epochs) == epochs && recipe.augmentation.colorJitter == 0.4)
      for progress in [0, 0.1, 17.3, epochs - 0.5] {
        #expect(
          abs(recipe.learningRate(at: progress) - 0.5 * (1 - progress / epochs)) < 1e-12, "\(name) at \(progress)")
      }
    }
  }

  @Test func `Every recipe of every architecture can be used, and says what it is called`() throws {
    for architecture in Zoo.architectures {
      #expect(Set(architecture.recipes.map(\.name)) == ["LRnorm", "LRfast", "LRadju", "small", "finetune"])
      for recipe in architecture.recipes { try recipe.validate() }
      // Fine-tuning gives the classifier a rate of its own, whatever it is called.
      let finetune = try #require(architecture.recipes.first { $0.name == "finetune" })
      for entry in architecture.entries {
        let classifier = architecture.headNames(entry.configuration).classifier
        #expect(finetune.groups.contains { $0.contains(classifier + ".weight") }, "\(entry.name)")
      }
    }
  }

  @Test func `Frozen parts must be there, and not all`() throws {
    let network = AnyNetwork<Float>(try Zoo.entry(named: "resnet20-mpn").configuration)
    var recipe = Recipe.finetune
    recipe.frozen = network.backbonePrefixes
    try recipe.checkFrozen(network)
    recipe.frozen = ["layer9"]
    let error = #expect(throws: RecipeError.self) { try recipe.checkFrozen(network) }
    #expect(error?.description.contains("'layer9'") == true && error?.description.contains("layer1") == true)
    recipe.frozen = network.backbonePrefixes + network.headPrefixes
    #expect(throws: RecipeError.self) { try recipe.checkFrozen(network) }
  }
}
