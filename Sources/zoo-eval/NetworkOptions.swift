import ArgumentParser
import Console
import ModelZoo

/// What is to differ from the network that was trained.
struct NetworkOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Newton–Schulz iterations, in place of the network's own.", valueName: "n"))
  var iterations: Int?

  @Option(
    help: ArgumentHelp(
      "What to make of the covariance, in place of the network's own.", discussion: CovarianceNormalization.help,
      valueName: "name"), transform: CovarianceNormalization.init(_:))
  var normalization: CovarianceNormalization?

  @Option(
    name: .customLong("image-size"),
    help: ArgumentHelp("Height and width of the images that the network sees, in place of its own.", valueName: "n"))
  var imageSize: Int?

  @Option(
    help: ArgumentHelp(
      "The share of an image's shorter side that the network sees, as timm's crop_pct: 0.875 is usual, 1 is all.",
      valueName: "x"))
  var crop: Double?

  @Option(help: "How images are resized: bilinear or bicubic.  (default: as the network was trained)")
  var interpolation: Interpolation?

  func validate() throws {
    if let iterations, !(1...100).contains(iterations) {
      throw ValidationError(
        "--iterations must be at \(iterations < 1 ? "least 1" : "most 100"), not \(iterations)")
    }
    if let imageSize, !(16...4096).contains(imageSize) {
      throw ValidationError("--image-size must be from 16 to 4096, not \(imageSize)")
    }
    if let crop, !(crop >= 0.1 && crop <= 1) { throw ValidationError("--crop must be from 0.1 to 1, not \(crop)") }
  }

  /// Makes a network's configuration what is asked for.
  /// - Parameter model: what the user calls it.
  func override(_ configuration: inout NetworkConfiguration, _ model: String) throws {
    if let normalization {
      guard configuration.covariance != nil else {
        throw UsageError("--normalization is for networks with a covariance head; \(model) has none")
      }
      configuration.covariance?.normalization = normalization
    }
    if let iterations {
      guard let normalizer = configuration.normalization?.normalizer as? RootNormalizer<NewtonSchulz> else {
        throw UsageError("--iterations is for Fast-MPN networks; \(model) has no Newton–Schulz iterations")
      }
      var root = normalizer.root
      root.iterations = iterations
      configuration.covariance?.normalization = .newtonSchulz(root, gradient: normalizer.gradient)
    }
    if let imageSize { configuration.input = configuration.input.resized(to: imageSize) }
    if let crop { configuration.input = configuration.input.cropped(to: crop) }
    if let interpolation { configuration.input.interpolation = interpolation }
  }
}

extension Interpolation: ExpressibleByArgument {}
