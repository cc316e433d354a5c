/// A network of the zoo: its name, what it is and what was published of it.
public struct ZooEntry: Sendable {
  /// The name by which tools know it, as in timm: `resnet50-fastmpn`, with tags for what departs from the PyTorch
  /// release: `resnet50-fastmpn.mindspore`, `resnet50-fastmpn.d128`.
  public let name: String
  /// The structure.
  public let configuration: NetworkConfiguration
  /// Figures of the papers and their code, the entry's own first.
  public let published: [PublishedFigures]
  /// Where the authors keep a checkpoint.
  public let checkpointURL: String?

  /// Accuracy as the entry's own source gives it.
  public var publishedTop1: Double? { published.first?.top1 }
  /// Where `publishedTop1` stands.
  public var source: String? { publishedTop1 == nil ? nil : published.first?.source }

  /// An entry.
  public init(
    name: String, configuration: NetworkConfiguration, published: [PublishedFigures] = [], checkpointURL: String? = nil
  ) {
    (self.name, self.configuration, self.published) = (name, configuration, published)
    self.checkpointURL = checkpointURL
  }

  /// Where a file with this identifier is.
  static func driveURL(_ identifier: String) -> String { "https://drive.google.com/file/d/\(identifier)" }

  /// Counts of the network as it runs here.
  public var counts: NetworkCounts { NetworkCounts(AnyNetwork<Float>(configuration)) }
}

/// What a publication says of a network. Accuracies on ImageNet-1k val, single centre crop of 224, in percent.
public struct PublishedFigures: Sendable, Equatable, Encodable {
  /// Where the figures stand.
  public var source: String
  /// Top-1 accuracy.
  public var top1: Double?
  /// Top-5 accuracy.
  public var top5: Double?
  /// Parameters in millions.
  public var megaParameters: Double?
  /// Multiply-adds in billions.
  public var gigaMultiplyAdds: Double?
  /// Why the counts differ from the network's own, where they do.
  public var remark: String?
}

/// Parameters and multiply-adds of a network.
public struct NetworkCounts: Sendable, Equatable {
  /// Learned scalars that inference uses.
  public let parameters: Int
  /// Multiply-adds of convolutions and classifier for one image.
  public let multiplyAdds: Int

  /// Counts for images of the network's own size; nothing is computed.
  public init(_ network: some Network) {
    parameters = network.parameterCount
    multiplyAdds = network.trace(input: network.configuration.inputShape).multiplyAdds
  }
}

extension ZooEntry {
  /// The entries of a backbone with each published head, and with d = 128.
  /// - Parameters:
  ///   - gap: setting, top-1 and top-5 with global average pooling; likewise `covariance` with Newton–Schulz iterations and
  ///     `narrow` with them and d = 128.
  ///   - files: identifiers of the checkpoints of the three, where there are some.
  static func withPublishedHeads(
    _ backbone: String, gap: [(String, Double, Double)] = [], covariance: [(String, Double, Double)] = [],
    narrow: [(String, Double, Double)] = [], files: [String] = []
  ) -> [ZooEntry] {
    func figures(_ rows: [(String, Double, Double)]) -> [PublishedFigures] {
      rows.map { PublishedFigures(source: "CVPR 2020 \($0.0)", top1: $0.1, top5: $0.2) }
    }
    func url(_ index: Int) -> String? { files.indices.contains(index) ? driveURL(files[index]) : nil }
    func entry(_ name: String, _ published: [PublishedFigures], _ url: String?) -> ZooEntry? {
      Zoo.configuration(named: name).map {
        ZooEntry(name: name, configuration: $0, published: published, checkpointURL: url)
      }
    }
    return [
      entry(backbone, figures(gap), url(0)), entry("\(backbone)-fastmpn", figures(covariance), url(1)),
      entry("\(backbone)-mpn", [], nil), entry("\(backbone)-dropcov", [], nil),
      narrow.isEmpty ? nil : entry("\(backbone)-fastmpn.d128", figures(narrow), url(2)),
    ].compactMap { $0 }
  }
}
