import CovariancePooling

/// A residual network (He et al. 2015) with global average or covariance pooling.
///
/// `[B, C, H, W]` to logits `[B, classes]`. With a covariance head the last stage keeps its resolution (stride 1): 14×14
/// positions for 224 px, 16×16 for CIFAR's 32 px.
public struct ResNet<Scalar: RealScalar>: Network {
  public let configuration: NetworkConfiguration
  var conv1: Conv2d<Scalar>
  var bn1: BatchNorm2d<Scalar>
  /// The stem's pooling; CIFAR networks have none.
  let pooling: MaxPooling2d?
  var stages: [[ResidualBlock<Scalar>]] = []
  public var head: PoolingHead<Scalar>

  /// A network without values: `initialize(seed:)` it or load a checkpoint.
  /// - Precondition: the configuration's backbone is one of `ResNetArchitecture`.
  public init(_ configuration: NetworkConfiguration) {
    self.configuration = configuration
    let layout = ResNetLayout.of(configuration)
    let style = BlockStyle(layout, configuration.flavour)
    conv1 = Conv2d(
      inputChannels: configuration.inputChannels, outputChannels: layout.channels[0],
      kernelSize: layout.isSmall ? 3 : 7, stride: layout.isSmall ? 1 : 2,
      padding: style.padding(kernel: layout.isSmall ? 3 : 7))
    bn1 = BatchNorm2d(layout.channels[0], eps: style.outerEps)
    pooling =
      layout.isSmall
      ? nil : MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: style.padding(kernel: 3)))
    var inputs = layout.channels[0]
    for (index, (blocks, channels)) in zip(layout.blocks, layout.channels).enumerated() {
      let isLast = index == layout.blocks.count - 1
      let stride = index == 0 || (isLast && configuration.covariance != nil) ? 1 : 2
      stages.append(
        (0..<blocks).map { block in
          defer { inputs = channels * layout.expansion }
          return ResidualBlock(
            from: inputs, to: channels, stride: block == 0 ? stride : 1, isBottleneck: layout.isBottleneck,
            projects: !layout.isSmall, style: style)
        })
    }
    head = PoolingHead(
      configuration, channels: layout.outputChannels, names: ResNetArchitecture.headNames(configuration), eps: style.eps
    )
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("conv1", &conv1)
    visit("bn1", &bn1)
    for index in stages.indices { visit("layer\(index + 1)", &stages[index]) }
    head.visitTensors(visit)
  }

  public func stem(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    let x = bn1.rectified(conv1(x))
    return pooling?.applied(to: x) ?? x
  }

  public func trunk(_ x: Tensor<Scalar>) -> Tensor<Scalar> { stages.joined().reduce(x) { $1($0) } }
}
