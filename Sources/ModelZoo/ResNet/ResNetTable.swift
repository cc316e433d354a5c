// Figures and checkpoints as published. Sources, by the short names used below:
//   CVPR 2020     What Deep CNNs Benefit from Global Covariance Pooling: An Optimization Perspective
//   NeurIPS 2022  DropCov: A Simple yet Effective Method for Improving Deep Architectures
//   TPAMI 2023    Towards a Deeper Understanding of Global Covariance Pooling in Deep Learning (joins both in one table)

private let cvpr = "CVPR 2020"
private let neurips = "NeurIPS 2022"
private let joint = "TPAMI 2023"
private let jointMindSpore = "TPAMI 2023 (MindSpore)"

/// One network of the joint table: counts as printed, accuracies in both frameworks.
private struct JointRow {
  var mega: Double
  var giga: Double
  var pytorch: Double?
  var mindspore: Double?
}

private let jointTable: [Int: [PublishedHead: JointRow]] = [
  18: [
    .gap: JointRow(mega: 11.7, giga: 1.81, mindspore: 70.53),
    .fastmpn: JointRow(mega: 19.6, giga: 3.11, mindspore: 74.64),
    .dropcov: JointRow(mega: 19.3, giga: 3.11, mindspore: 73.8),
  ],
  34: [
    .gap: JointRow(mega: 21.8, giga: 3.66, pytorch: 74.19, mindspore: 73.68),
    .fastmpn: JointRow(mega: 29.7, giga: 5.56, pytorch: 76.80, mindspore: 76.27),
    .dropcov: JointRow(mega: 29.6, giga: 5.56, pytorch: 76.81, mindspore: 76.13),
  ],
  50: [
    .gap: JointRow(mega: 25.6, giga: 3.86, pytorch: 76.02, mindspore: 76.07),
    .fastmpn: JointRow(mega: 32.3, giga: 6.19, pytorch: 78.56, mindspore: 77.71),
    .dropcov: JointRow(mega: 32.0, giga: 6.19, pytorch: 78.19, mindspore: 77.77),
  ],
  101: [
    .gap: JointRow(mega: 44.6, giga: 7.57, pytorch: 77.67),
    .fastmpn: JointRow(mega: 51.3, giga: 9.90, pytorch: 79.47),
    .dropcov: JointRow(mega: 51.0, giga: 9.90, pytorch: 79.51),
  ],
]

/// Accuracies of the PyTorch releases: top-1 and, where given, top-5.
private let releases: [PublishedHead: (source: String, figures: [Int: (Double, Double?)])] = [
  .gap: (cvpr, [18: (70.47, 89.59), 34: (74.19, 91.60), 50: (76.02, 92.97), 101: (77.67, 93.83)]),
  .fastmpn: (cvpr, [18: (75.48, 92.23), 34: (77.11, 93.33), 50: (78.56, 94.09), 101: (79.47, 94.71)]),
  .dropcov: (neurips, [34: (76.81, nil), 50: (78.19, nil), 101: (79.51, nil)]),
]

/// Google Drive identifiers of the authors' PyTorch checkpoints.
private let pytorchFiles: [PublishedHead: [Int: String]] = [
  .gap: [
    18: "1hK56OuyrXiEIrp7D3CroaGM2L2-FSTl0", 34: "1V-4n8sxtCmp5iiWws1kBhYXFXsG6fVrX",
    50: "17MyDHCKS8wla8GZvwSbfNfQAJ12KofV_", 101: "1N-Wu6VAiOHfD4DqbCm-IfupkxZWjUvTc",
  ],
  .fastmpn: [
    18: "1D4ZmTHJ5dmTTpdL2IA3UJUIm54cF45na", 34: "15k8roxdmpq8iwasi6Piysh8HK4vlsG_m",
    50: "1TmnusKSArjKTTb28cnw2OzrUVc_DAi98", 101: "1y8oI2IodJuG7R_gIdrYoXSTPafmszwMh",
  ],
  .dropcov: [
    34: "1rAK-u85tYxhodTDBV_QuIjXFlxz7Ul2t", 50: "1235CUjS7va_h6weWQeAwFZ_J1iOqmaDm",
    101: "1KJyAUXu11GFz6uLS1kGyZc1JM-pi-E37",
  ],
]

/// Google Drive identifiers of the authors' MindSpore checkpoints.
private let mindsporeFiles: [PublishedHead: [Int: String]] = [
  .fastmpn: [
    18: "1kpBpbYpWQfSzSav7v8Ms7dn1SaUlOlMk", 34: "1T0YCzz-A-V2GI1tjihCHIjug93nFSQ91",
    50: "1aF-By_pMhbCu82Gl73sFyz4qlNS25ayJ",
  ],
  .dropcov: [
    18: "1zVDDmmQWQ-CDDoxjaolkcjI3MACE-rxx", 34: "1-gvogrLlRSnpzigvevLPV1GKAHF0vr2K",
    50: "1PBy8evHi-xiJHiTWgqrUs8jTH58hJM2n",
  ],
]

extension ResNetArchitecture {
  public static let entries: [ZooEntry] =
    [18, 34, 50, 101].flatMap(imageNetEntries) + [20, 32, 44, 56].flatMap(cifarEntries)

  private static func imageNetEntries(_ depth: Int) -> [ZooEntry] {
    let mindspore: [PublishedHead] = depth == 101 ? [] : [.gap, .fastmpn, .dropcov]
    return PublishedHead.allCases.compactMap { pytorchEntry(depth, $0) }
      + [PublishedHead.fastmpn, .mpn, .dropcov].compactMap { narrowEntry(depth, $0) }
      + mindspore.compactMap { mindsporeEntry(depth, $0) }
  }

  private static func cifarEntries(_ depth: Int) -> [ZooEntry] {
    PublishedHead.allCases.compactMap { head in
      configuration("resnet\(depth)", head.normalization).map { ZooEntry(name: $0.name, configuration: $0) }
    }
  }

  /// The released PyTorch configuration, d = 256.
  private static func pytorchEntry(_ depth: Int, _ head: PublishedHead) -> ZooEntry? {
    guard let configuration = Self.configuration("resnet\(depth)", head.normalization) else { return nil }
    var published: [PublishedFigures] = []
    let row = jointTable[depth]?[head]
    if let release = releases[head], let (top1, top5) = release.figures[depth] {
      published.append(PublishedFigures(source: release.source, top1: top1, top5: top5))
    }
    if let row {
      published.append(
        PublishedFigures(
          source: joint, top1: row.pytorch, megaParameters: row.mega, gigaMultiplyAdds: row.giga,
          remark: remark(depth, head, dimension: 256)))
    }
    return ZooEntry(
      name: configuration.name, configuration: configuration, published: published,
      checkpointURL: pytorchFiles[head]?[depth].map(ZooEntry.driveURL))
  }

  /// The same with d = 128, of which CVPR 2020 trained one.
  private static func narrowEntry(_ depth: Int, _ head: PublishedHead) -> ZooEntry? {
    guard var configuration = Self.configuration("resnet\(depth)", head.normalization) else { return nil }
    configuration.covariance?.dimension = 128
    let isTrained = depth == 50 && head == .fastmpn
    return ZooEntry(
      name: configuration.name, configuration: configuration,
      published: isTrained ? [PublishedFigures(source: cvpr, top1: 78.02, top5: 94.02)] : [], checkpointURL: nil)
  }

  private static func mindsporeEntry(_ depth: Int, _ head: PublishedHead) -> ZooEntry? {
    guard
      let configuration = Self.configuration(
        "resnet\(depth)", head.normalization, flavour: .mindspore)
    else { return nil }
    let published = jointTable[depth]?[head].map {
      PublishedFigures(
        source: jointMindSpore, top1: $0.mindspore, megaParameters: $0.mega, gigaMultiplyAdds: $0.giga,
        remark: remark(depth, head, dimension: 128))
    }
    return ZooEntry(
      name: configuration.name, configuration: configuration, published: published.map { [$0] } ?? [],
      checkpointURL: mindsporeFiles[head]?[depth].map(ZooEntry.driveURL))
  }

  /// Why the joint table's counts are not those of the network with this d as it runs here.
  private static func remark(_ depth: Int, _ head: PublishedHead, dimension: Int) -> String? {
    var parts: [String] = []
    switch head {
    case .gap, .mpn: break
    case .fastmpn: parts.append("published parameters are those of d = 128 with the reduction to d counted twice")
    case .dropcov:
      parts.append(
        "published parameters are those of d = 128"
          + (depth == 18 ? ", and 19.3 is a slip for 19.5 (the authors' repository prints 19.6)" : ""))
    }
    if head != .gap, depth == 34 {
      parts.append("published multiply-adds of d = 256 with two digits swapped (5.65)")
    } else if head != .gap, dimension != 256 {
      parts.append("published multiply-adds are those of d = 256")
    }
    if depth >= 50 {
      parts.append("published multiply-adds have the stride in the first 1×1 (v1), the released code in the 3×3 (v1.5)")
    }
    if dimension == 128, head == .gap || head == .fastmpn || head == .dropcov {
      parts.append("1001 classes here, 1000 there")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}
