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
    let (shape, x, y) = (inputs[0].shape, inputs[0].pointer, result.baseAddress!)
    let (scale, shift) = affine(weight: inputs[1], bias: inputs[2], mean: inputs[3], variance: inputs[4])
    let (channels, pixels) = (shape[1], shape.dropFirst(2).reduce(1, *))
    let size = channels * pixels
    WorkerPool.shared.forEach(shape[0]) { image in
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_scale_shift_f32(
            (x + image * size).float, scale.pointer.float, shift.pointer.float, (y + image * size).float, channels,
            pixels)
        },
        double: {
          covpool_scale_shift_f64(
            (x + image * size).double, scale.pointer.double, shift.pointer.double, (y + image * size).double, channels,
            pixels)
        })
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// The statistics are constants: ∂x = scale ∂y, ∂weight = Σ ∂y x̂, ∂bias = Σ ∂y.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let inputs = application.inputs
    let scale = affine(weight: inputs[1], bias: inputs[2], mean: inputs[3], variance: inputs[4]).scale
    let inverses = inputs[4].scalars.map { 1 / (Double($0) + eps).squareRoot() }
    let channels = ChannelGradients(inputs[0], gradient, means: inputs[3].scalars)
    let weight = Tensor(inputs[1].shape, zip(channels.products, inverses).map { Scalar($0 * $1) })
    let features = channels.combined { (gradient: scale.pointer[$0], x: 0, constant: 0) }
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

/// Batch normalisation by the batch's own statistics, as in training.
///
/// Inputs: features `[B, C, …]`, then weight and bias, each `[C]`. The batch's mean and biased variance, in double
/// precision, are what `apply` saves: two tensors `[C]`. Ioffe and Szegedy 2015, algorithm 1.
public struct BatchNormalizationTraining: TensorOperation {
  /// Added to the variance under the root.
  public var eps: Double

  /// A normalisation with this `eps`.
  public init(eps: Double) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 3 && inputs[0].rank >= 2, "expected [B, C, …], [C], [C]", inputs)
    require(inputs[1...].allSatisfy { $0 == [inputs[0][1]] }, "parameters of another number of channels", inputs)
    require(inputs[0].scalarCount > 0, "no numbers to take the statistics of", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    normalize(inputs, moments(inputs[0]), into: result.baseAddress!)
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let statistics = moments(inputs[0])
    let output = Tensor<Scalar>(inputs[0].shape) { normalize(inputs, statistics, into: $0.baseAddress!) }
    return Application(
      inputs: inputs, output: output,
      saved: [
        Tensor(inputs[1].shape, statistics.map { Scalar($0.mean) }),
        Tensor(inputs[1].shape, statistics.map { Scalar($0.variance) }),
      ], needsGradient: needsGradient)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// With N numbers in a channel and σ = √(variance + eps):
  /// ∂x = weight / σ · (∂y − Σ∂y / N − x̂ Σ(∂y x̂) / N), ∂weight = Σ ∂y x̂, ∂bias = Σ ∂y.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let (means, variances) = (application.saved[0].scalars, application.saved[1].scalars)
    let channels = ChannelGradients(x, gradient, means: means)
    let inverses = variances.map { 1 / (Double($0) + eps).squareRoot() }
    let count = Double(x.scalarCount / x.shape[1])
    let features = channels.combined { channel in
      let inverse = inverses[channel]
      let factor = Double(weight.pointer[channel]) * inverse
      let slope = -factor * inverse * inverse * channels.products[channel] / count
      let constant = -factor * channels.sums[channel] / count - slope * Double(means[channel])
      return (gradient: Scalar(factor), x: Scalar(slope), constant: Scalar(constant))
    }
    return [
      features, Tensor(weight.shape, zip(channels.products, inverses).map { Scalar($0 * $1) }),
      Tensor(weight.shape, channels.sums.map { Scalar($0) }),
    ]
  }

  private func moments<Scalar>(_ x: Tensor<Scalar>) -> [(mean: Double, variance: Double)] {
    let groups = ImageGroups(x.shape)
    let parts = groups.results { part in
      var (mean, variance) = (0.0, 0.0)
      let from = x.pointer + part.start
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_channel_moments_f32(from.float, part.images, groups.imageSize, groups.pixels, &mean, &variance)
        },
        double: {
          covpool_channel_moments_f64(from.double, part.images, groups.imageSize, groups.pixels, &mean, &variance)
        })
      return (mean, variance)
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
    let groups = ImageGroups(inputs[0].shape)
    groups.forEach { part in
      let (from, to) = (inputs[0].pointer + part.start, result + part.start)
      let (scale, shift) = (scales[part.channel], shifts[part.channel])
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_channel_affine_f32(
            from.float, Float(scale), Float(shift), to.float, part.images, groups.imageSize, groups.pixels)
        },
        double: {
          covpool_channel_affine_f64(
            from.double, scale, shift, to.double, part.images, groups.imageSize, groups.pixels)
        })
    }
  }
}

/// What the gradients of both normalisations are made of: Σ ∂y and Σ ∂y (x − mean) of each channel.
private struct ChannelGradients<Scalar: RealScalar> {
  private let x: Tensor<Scalar>
  private let gradient: Tensor<Scalar>
  private let groups: ImageGroups
  let sums: [Double]
  let products: [Double]

  init(_ x: Tensor<Scalar>, _ gradient: Tensor<Scalar>, means: [Scalar]) {
    let groups = ImageGroups(x.shape)
    (self.x, self.gradient, self.groups) = (x, gradient, groups)
    let parts = groups.results { part in
      var (sum, product) = (0.0, 0.0)
      let (from, g) = (x.pointer + part.start, gradient.pointer + part.start)
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_channel_gradient_sums_f32(
            from.float, g.float, Float(means[part.channel]), part.images, groups.imageSize, groups.pixels, &sum,
            &product)
        },
        double: {
          covpool_channel_gradient_sums_f64(
            from.double, g.double, Double(means[part.channel]), part.images, groups.imageSize, groups.pixels, &sum,
            &product)
        })
      return (sum, product)
    }
    (sums, products) = (parts.map { $0.reduce(0) { $0 + $1.0 } }, parts.map { $0.reduce(0) { $0 + $1.1 } })
  }

  /// gradient · ∂y + x · x + constant, with the factors of each channel.
  func combined(_ factors: (_ channel: Int) -> (gradient: Scalar, x: Scalar, constant: Scalar)) -> Tensor<Scalar> {
    let factors = (0..<groups.channels).map(factors)
    return Tensor(x.shape) { result in
      guard let result = result.baseAddress else { return }
      groups.forEach { part in
        let (a, b, c) = factors[part.channel]
        let (g, from, to) = (gradient.pointer + part.start, x.pointer + part.start, result + part.start)
        forPrecision(
          of: Scalar.self,
          float: {
            covpool_channel_combine_f32(
              Float(a), g.float, Float(b), from.float, Float(c), to.float, part.images, groups.imageSize, groups.pixels)
          },
          double: {
            covpool_channel_combine_f64(
              Double(a), g.double, Double(b), from.double, Double(c), to.double, part.images, groups.imageSize,
              groups.pixels)
          })
      }
    }
  }
}
