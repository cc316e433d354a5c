@_exported import CovariancePooling

/// A residual network with global average or covariance pooling: all networks of the zoo.
///
/// `[B, C, H, W]` to logits `[B, classes]`. With a covariance head the last stage keeps its resolution (stride 1): 14×14
/// positions for 224 px, 16×16 for CIFAR's 32 px.
public struct ResNet<Scalar: RealScalar>: Module {
  /// What decided the structure.
  public private(set) var configuration: NetworkConfiguration
  var conv1: Conv2d<Scalar>
  var bn1: BatchNorm2d<Scalar>
  /// The stem's pooling; CIFAR networks have none.
  var pooling: MaxPooling2d?
  var stages: [[ResidualBlock<Scalar>]] = []
  var covariancePool: CovariancePool<Scalar>?
  var classifier: Linear<Scalar>

  /// A network without values: `initialize(seed:)` it or load a checkpoint.
  public init(_ configuration: NetworkConfiguration) {
    self.configuration = configuration
    let (layout, style) = (configuration.layout, BlockStyle(configuration))
    let isImageNet = configuration.family == .imageNet
    let kernel = isImageNet ? 7 : 3
    conv1 = Conv2d(
      configuration.inputChannels, layout.channels[0], kernel: kernel, stride: isImageNet ? 2 : 1,
      padding: style.padding(kernel: kernel))
    bn1 = BatchNorm2d(layout.channels[0], eps: style.outerEps)
    pooling =
      isImageNet ? MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: style.padding(kernel: 3))) : nil
    var inputs = layout.channels[0]
    for (index, (blocks, channels)) in zip(layout.blocks, layout.channels).enumerated() {
      let isLast = index == layout.blocks.count - 1
      let stride = index == 0 || (isLast && configuration.head != .gap) ? 1 : 2
      stages.append(
        (0..<blocks).map { block in
          defer { inputs = channels * layout.expansion }
          return ResidualBlock(
            from: inputs, to: channels, stride: block == 0 ? stride : 1, isBottleneck: layout.isBottleneck,
            projects: isImageNet, style: style)
        })
    }
    covariancePool = configuration.normalization.map {
      CovariancePool(
        channels: layout.outputChannels, dimension: configuration.dimension, normalization: $0, eps: style.eps)
    }
    classifier = Linear(configuration.representationSize, configuration.classes)
  }

  /// What the classifier is called in checkpoints of this network.
  static func classifierName(_ configuration: NetworkConfiguration) -> String {
    configuration.family == .cifar && configuration.head == .gap ? "linear" : "fc"
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("conv1", &conv1)
    visit("bn1", &bn1)
    for index in stages.indices { visit("layer\(index + 1)", &stages[index]) }
    if var pool = covariancePool {
      covariancePool = nil  // so that `pool` alone owns the memory
      pool.visitTensors(visit)
      covariancePool = pool
    }
    visit(Self.classifierName(configuration), &classifier)
  }

  /// Makes another number of Newton–Schulz iterations, where the normalisation is one.
  public mutating func setIterations(_ iterations: Int) {
    guard case .newtonSchulz(var operation, let gradient) = configuration.normalization else { return }
    operation.iterations = iterations
    configuration.normalization = .newtonSchulz(operation, gradient: gradient)
    covariancePool?.normalization = .newtonSchulz(operation, gradient: gradient)
  }

  /// The features whose covariance a covariance head takes: `[B, C, H, W]` to `[B, d, H′, W′]`.
  /// - Precondition: the network has a covariance head.
  public func reducedFeatures(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    guard let covariancePool else { preconditionFailure("\(configuration.name) has no covariance head") }
    return covariancePool.reduced(features(x))
  }

  /// The vector that the classifier sees: `[B, C, H, W]` to `[B, representationSize]`.
  public func representation(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    let x = features(x)
    return covariancePool.map { $0(x) } ?? x.globalAverage()
  }

  /// The last stage's feature map: `[B, C, H, W]` to `[B, C′, H′, W′]`.
  public func features(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    var x = bn1.rectified(conv1(x))
    if let pooling { x = pooling.applied(to: x) }
    for stage in stages {
      for block in stage { x = block(x) }
    }
    return x
  }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { classifier(representation(x)) }
}
