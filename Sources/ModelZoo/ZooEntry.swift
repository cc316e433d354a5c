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

  /// Counts of the network as it runs here.
  public var counts: NetworkCounts { NetworkCounts(configuration) }
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

  /// Counts for images of the network's own size, or of `imageSize`; nothing is computed.
  public init(_ configuration: NetworkConfiguration, imageSize: Int? = nil) {
    let network = ResNet<Float>(configuration)
    let size = imageSize ?? configuration.imageSize
    parameters = network.parameterCount
    multiplyAdds = network.trace(input: [1, configuration.inputChannels, size, size]).multiplyAdds
  }
}

extension NetworkConfiguration {
  /// Height and width of the images a network is made for: 224, for the CIFAR family 32, and 28 for one channel
  /// (Fashion-MNIST).
  public var imageSize: Int {
    switch family {
    case .imageNet: 224
    case .cifar: inputChannels == 1 ? 28 : 32
    }
  }

  /// The name of the zoo entry with this structure; class count and channels are not part of it.
  public var name: String {
    var name = head == .gap ? "resnet\(depth)" : "resnet\(depth)-\(head.rawValue)"
    if flavour == .mindspore { name += ".mindspore" }
    let release = NetworkConfiguration(depth: depth, head: head, flavour: flavour)
    if head != .gap, dimension != release?.dimension { name += ".d\(dimension)" }
    return name
  }
}
