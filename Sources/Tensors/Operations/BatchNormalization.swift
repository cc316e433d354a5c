import Kernels

/// Batch normalisation with given statistics: (x − mean) / √(variance + eps) · weight + bias for each channel.
///
/// Inputs: features `[B, C, …]`, then weight, bias, running mean and running variance, each `[C]`.
/// Ioffe and Szegedy 2015, algorithm 2.
public struct BatchNormalization: TensorOperation {
  /// Added to the variance under the root.
  public var eps: Double

  /// A normalisation with this `eps`.
  public init(eps: Double) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 5 && inputs[0].rank >= 2, "expected [B, C, …], [C], [C], [C], [C]", inputs)
    require(inputs[1...].allSatisfy { $0 == [inputs[0][1]] }, "statistics of another number of channels", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (scale, shift) = affine(weight: inputs[1], bias: inputs[2], mean: inputs[3], variance: inputs[4])
    applyAffine(scale, shift, to: inputs[0], into: result.baseAddress!)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// The statistics are constants: ∂x = scale ∂y, ∂weight = Σ ∂y x̂, ∂bias = Σ ∂y.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let inputs = application.inputs
    let scale = affine(weight: inputs[1], bias: inputs[2], mean: inputs[3], variance: inputs[4]).scale
    let inverses = inputs[4].scalars.map { 1 / (Double($0) + eps).squareRoot() }
    let channels = ChannelGradients(inputs[0], gradient, means: inputs[3])
    let weight = Tensor(inputs[1].shape, zip(channels.products, inverses).map { Scalar($0 * $1) })
    let features = channels.combined(scale.scalars.map { (gradient: $0, x: 0, constant: 0) })
    return [features, weight, Tensor(inputs[2].shape, channels.sums.map { Scalar($0) }), nil, nil]
  }

  /// The normalisation as y = scale · x + shift, each `[C]`, computed in double precision.
  package func affine<Scalar>(
    weight: Tensor<Scalar>, bias: Tensor<Scalar>, mean: Tensor<Scalar>, variance: Tensor<Scalar>
  ) -> (scale: Tensor<Scalar>, shift: Tensor<Scalar>) {
    let scale = zip(weight.scalars, variance.scalars).map { Double($0) / (Double($1) + eps).squareRoot() }
    let shift = zip(bias.scalars, zip(mean.scalars, scale)).map { Double($0) - Double($1.0) * $1.1 }
    return (Tensor(weight.shape, scale.map { Scalar($0) }), Tensor(weight.shape, shift.map { Scalar($0) }))
  }
}

/// Batch normalisation by the batch's own statistics, as in training, and what follows it in a residual block, the
/// addition of a shortcut and the activation: they are done in the pass that normalises.
///
/// Inputs: features `[B, C, …]`, weight and bias, each `[C]`, and perhaps an addend of the features' shape. The batch's
/// mean and biased variance, in double precision, are what `apply` saves: two tensors `[C]`. Ioffe and Szegedy 2015,
/// algorithm 1.
public struct BatchNormalizationTraining: TensorOperation {
  /// Added to the variance under the root.
  public var eps: Double
  /// Applied last.
  public var activation: Activation

  /// A normalisation with this `eps`, followed by an activation.
  public init(eps: Double, activation: Activation = .identity) { (self.eps, self.activation) = (eps, activation) }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(3...4 ~= inputs.count && inputs[0].rank >= 2, "expected [B, C, …], [C], [C] and perhaps an addend", inputs)
    require(inputs[1...2].allSatisfy { $0 == [inputs[0][1]] }, "parameters of another number of channels", inputs)
    require(inputs.count == 3 || inputs[3] == inputs[0], "an addend of another shape", inputs)
    require(inputs[0].scalarCount > 0, "no numbers to take the statistics of", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    normalize(inputs, moments(inputs[0]), into: result.baseAddress!)
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let statistics = moments(inputs[0])
    let output = Tensor<Scalar>(inputs[0].shape) { normalize(inputs, statistics, into: $0.baseAddress!) }
    // Nobody looks at the addend again.
    return Application(
      inputs: inputs[..<3] + inputs[3...].map { .uninitialized($0.shape) }, output: output,
      saved: [
        Tensor(inputs[1].shape, statistics.map { Scalar($0.mean) }),
        Tensor(inputs[1].shape, statistics.map { Scalar($0.variance) }),
      ], needsGradient: needsGradient)
  }

  public var pullbackNeeds: PullbackNeeds { activation == .identity ? .inputs : [.inputs, .output] }

  /// With N numbers in a channel, σ = √(variance + eps), and ∂y = 0 where the activation's result is one of its bounds:
  /// ∂x = weight / σ · (∂y − Σ∂y / N − x̂ Σ(∂y x̂) / N), ∂weight = Σ ∂y x̂, ∂bias = Σ ∂y, ∂addend = ∂y.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    pullbackToNothing(gradient, application)
  }

  public func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?]
  ) {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let (means, variances) = (application.saved[0], application.saved[1].scalars)
    let wantsAddend = application.inputs.count == 4 && application.needsGradient[3]
    let channels = ChannelGradients(
      x, consume gradient, activation, result: activation == .identity ? nil : application.output, means: means,
      keepsMasked: wantsAddend)
    let inverses = variances.map { 1 / (Double($0) + eps).squareRoot() }
    let count = Double(x.scalarCount / x.shape[1])
    let factors = (0..<inverses.count).map { channel in
      let inverse = inverses[channel]
      let factor = Double(weight.pointer[channel]) * inverse
      let slope = -factor * inverse * inverse * channels.products[channel] / count
      let constant = -factor * channels.sums[channel] / count - slope * Double(means.pointer[channel])
      return (gradient: Scalar(factor), x: Scalar(slope), constant: Scalar(constant))
    }
    add(Tensor(weight.shape, zip(channels.products, inverses).map { Scalar($0 * $1) }), to: &sums[1])
    add(Tensor(weight.shape, channels.sums.map { Scalar($0) }), to: &sums[2])
    if wantsAddend { add(channels.gradient, to: &sums[3]) }
    if application.needsGradient[0] { add(channels.combined(factors), to: &sums[0]) }
  }

  private func moments<Scalar>(_ x: Tensor<Scalar>) -> [(mean: Double, variance: Double)] {
    let groups = ImageGroups(x.shape)
    let parts = groups.results { part, means, variances in
      var layout = part.layout
      let from = x.pointer + part.start
      Scalar.routines.kernels.batchMoments(&layout, from, means, variances)
    }
    // A sample's mean and squared deviations from those of its parts (Chan, Golub and LeVeque 1983, equation 2.1).
    return parts.map { parts in
      var (mean, squares, images) = (0.0, 0.0, 0.0)
      for (part, (partMean, partVariance)) in parts.enumerated() {
        let count = Double(groups.images(part).count)
        let difference = partMean - mean, share = count / (images + count)
        mean += difference * share
        squares += partVariance * count + difference * difference * images * share
        images += count
      }
      return (mean, squares / images)
    }
  }

  private func normalize<Scalar>(
    _ inputs: [Tensor<Scalar>], _ statistics: [(mean: Double, variance: Double)],
    into result: UnsafeMutablePointer<Scalar>
  ) {
    let scales = zip(inputs[1].scalars, statistics).map { Double($0) / ($1.variance + eps).squareRoot() }
    let shifts = zip(inputs[2].scalars, zip(statistics, scales)).map { Double($0) - $1.0.mean * $1.1 }
    let shape = inputs[1].shape
    applyAffine(
      Tensor(shape, scales.map { Scalar($0) }), Tensor(shape, shifts.map { Scalar($0) }), to: inputs[0],
      adding: inputs.count == 4 ? inputs[3] : nil, activation: activation, into: result)
  }
}

/// scale · x + shift + addend with each channel's factors `[C]`, then the activation.
private func applyAffine<Scalar: RealScalar>(
  _ scale: Tensor<Scalar>, _ shift: Tensor<Scalar>, to x: Tensor<Scalar>, adding addend: Tensor<Scalar>? = nil,
  activation: Activation = .identity, into result: UnsafeMutablePointer<Scalar>
) {
  ImageGroups(x.shape).forEach { part in
    var layout = part.layout
    let (from, to, added) = (x.pointer + part.start, result + part.start, addend.map { $0.pointer + part.start })
    let (scale, shift) = (scale.pointer + part.channels.lowerBound, shift.pointer + part.channels.lowerBound)
    Scalar.routines.kernels.batchAffine(&layout, from, scale, shift, added, activation.kernel, to)
  }
}

/// What the gradients of both normalisations are made of: Σ ∂y and Σ ∂y (x − mean) of each channel.
private struct ChannelGradients<Scalar: RealScalar> {
  private let x: Tensor<Scalar>
  /// ∂y, of which only that counts where `result` lies inside the activation's bounds.
  private(set) var gradient: Tensor<Scalar>
  private let activation: Activation
  private let result: Tensor<Scalar>?
  private let groups: ImageGroups
  let sums: [Double]
  let products: [Double]

  /// - Parameters:
  ///   - result: what the activation made of y; `nil` without one.
  ///   - means: each channel's.
  ///   - keepsMasked: whether `gradient` is to be 0 wherever it does not count.
  init(
    _ x: Tensor<Scalar>, _ gradient: consuming Tensor<Scalar>, _ activation: Activation = .identity,
    result: Tensor<Scalar>? = nil, means: Tensor<Scalar>, keepsMasked: Bool = false
  ) {
    let groups = ImageGroups(x.shape)
    self.gradient = gradient
    let ofResult = self.gradient.pointer
    let masked = keepsMasked && activation != .identity ? self.gradient.replacement() : nil
    let parts = groups.results { part, sums, products in
      var layout = part.layout
      let (from, g, y) = (x.pointer + part.start, ofResult + part.start, result.map { $0.pointer + part.start })
      let mean = means.pointer + part.channels.lowerBound
      let to = masked.map { UnsafeMutablePointer(mutating: $0.pointer) + part.start }
      Scalar.routines.kernels.batchGradientSums(&layout, from, g, activation.kernel, y, mean, to, sums, products)
    }
    (self.x, self.groups, self.result) = (x, groups, masked == nil ? result : nil)
    self.activation = masked == nil ? activation : .identity
    if let masked { self.gradient = masked }
    sums = parts.map { $0.reduce(0) { $0 + $1.0 } }
    products = parts.map { $0.reduce(0) { $0 + $1.1 } }
  }

  /// gradient · ∂y + x · x + constant, with the factors of each channel; in the gradient's memory where nobody else uses
  /// it.
  consuming func combined(_ factors: [(gradient: Scalar, x: Scalar, constant: Scalar)]) -> Tensor<Scalar> {
    let shape: Shape = [groups.channels]
    let (ofGradient, ofX, constants) = (
      Tensor(shape, factors.map(\.gradient)), Tensor(shape, factors.map(\.x)), Tensor(shape, factors.map(\.constant))
    )
    let combined = gradient.replacement()
    groups.forEach { part in
      var layout = part.layout
      let first = part.channels.lowerBound
      let (a, b, c) = (ofGradient.pointer + first, ofX.pointer + first, constants.pointer + first)
      let (g, from, y) = (gradient.pointer + part.start, x.pointer + part.start, result.map { $0.pointer + part.start })
      let to = UnsafeMutablePointer(mutating: combined.pointer) + part.start
      Scalar.routines.kernels.batchCombine(&layout, a, g, activation.kernel, y, b, from, c, to)
    }
    return combined
  }
}
