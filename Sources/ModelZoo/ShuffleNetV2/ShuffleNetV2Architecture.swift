import CovariancePooling

/// ShuffleNetV2 of four widths.
public enum ShuffleNetV2Architecture: Architecture {
  /// Channels of the three stages and of the last convolution.
  static let widths: [String: [Int]] = [
    "shufflenet_v2_x0_5": [48, 96, 192, 1024], "shufflenet_v2_x1_0": [116, 232, 464, 1024],
    "shufflenet_v2_x1_5": [176, 352, 704, 1024], "shufflenet_v2_x2_0": [244, 488, 976, 2048],
  ]

  public static let backbones = widths.keys.sorted()

  public static func title(_ backbone: String) -> String {
    "ShuffleNetV2 ×\(backbone.dropFirst("shufflenet_v2_x".count).replacing("_", with: "."))"
  }

  public static func release(_ backbone: String, flavour: Flavour) -> (dimension: Int, classes: Int)? {
    flavour == .pytorch ? (256, 1000) : nil
  }

  public static func network<Scalar: RealScalar>(_ configuration: NetworkConfiguration) -> any Network<Scalar> {
    ShuffleNetV2<Scalar>(configuration)
  }

  /// What the authors' checkpoints say.
  public static let aliases = ["shufflenet_v2_mpncov_x1_0": "shufflenet_v2_x1_0-fastmpn"]

  public static let marks = ["conv1.0.weight", "stage2.0.branch2.0.weight"]

  public static func headNames(_ configuration: NetworkConfiguration) -> HeadNames {
    HeadNames(reduction: "dimension_reduction.0", norm: "dimension_reduction.1", classifier: "fc")
  }

  public static func backbone(of shapes: [String: Shape]) -> String? {
    let half = shapes["stage2.0.branch2.0.weight"]?.first
    return backbones.first { widths[$0]?[0] == half.map { 2 * $0 } }
  }

  /// Accuracies of "What Deep CNNs Benefit from Global Covariance Pooling" (CVPR 2020), the setting LRnorm first.
  public static let entries: [ZooEntry] = backbones.flatMap { backbone in
    backbone != "shufflenet_v2_x1_0"
      ? ZooEntry.withPublishedHeads(backbone)
      : ZooEntry.withPublishedHeads(
        backbone, gap: [("LRnorm", 67.96, 87.84), ("LRfast", 66.13, 86.54), ("LRadju", 67.15, 87.35)],
        covariance: [("LRnorm", 71.83, 90.04), ("LRfast", 70.29, 89.00), ("LRadju", 71.17, 89.74)],
        files: ["1MtG2wGDk-JweO1vzX_7LxBvJvF_jCo1r", "1fEOyjZrXdcGuXvj8l0XwYCdt5uQx6fAM"])
  }
}
