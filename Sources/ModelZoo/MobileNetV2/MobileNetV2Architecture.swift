import CovariancePooling

/// MobileNetV2 of width 1.
public enum MobileNetV2Architecture: Architecture {
  public static let backbones = ["mobilenet_v2"]

  public static func title(_ backbone: String) -> String { "MobileNetV2" }

  public static func release(_ backbone: String, flavour: Flavour) -> (dimension: Int, classes: Int)? {
    flavour == .pytorch ? (256, 1000) : nil
  }

  public static func network<Scalar: RealScalar>(_ configuration: NetworkConfiguration) -> any Network<Scalar> {
    MobileNetV2<Scalar>(configuration)
  }

  /// torchvision's and timm's names, and those of the authors' checkpoints.
  public static let aliases = [
    "mobilenetv2_100": "mobilenet_v2", "mobilenet_v2_mpncov": "mobilenet_v2-fastmpn",
    "mobilenet_v2_mpncov_128": "mobilenet_v2-fastmpn.d128",
  ]

  public static let marks = ["features.0.0.weight", "features.1.conv.0.0.weight"]

  public static func headNames(_ configuration: NetworkConfiguration) -> HeadNames {
    HeadNames(reduction: "dimension_reduction.0", norm: "dimension_reduction.1", classifier: "classifier.1")
  }

  public static func backbone(of shapes: [String: Shape]) -> String? {
    shapes["features.17.conv.0.0.weight"]?.first == 960 && shapes["features.18.0.weight"]?.first == 1280
      ? backbones[0] : nil
  }

  /// Accuracies of "What Deep CNNs Benefit from Global Covariance Pooling" (CVPR 2020), the setting LRnorm first.
  public static let entries: [ZooEntry] = {
    let gap = [("LRnorm", 71.62, 90.18), ("LRfast", 69.29, 89.01), ("LRadju", 71.27, 90.08)]
    let covariance = [("LRnorm", 74.39, 91.86), ("LRfast", 72.45, 90.51), ("LRadju", 73.97, 91.53)]
    let narrow = [("LRnorm", 73.28, 91.26), ("LRadju", 72.58, 90.87)]
    return ZooEntry.withPublishedHeads(
      backbones[0], gap: gap, covariance: covariance, narrow: narrow,
      files: [
        "1NTKVzjpuJtDEBBShgBPailKdhntUXwKs", "18OpYWyBUGqSIiY4m0BqKsHNo22IuNB80", "1D5ab0tRhIWvFsV9vR67-GQtnen71MFmB",
      ])
  }()
}
