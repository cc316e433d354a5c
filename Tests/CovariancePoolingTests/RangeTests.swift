import CovariancePooling
import Foundation
import TestSupport
import Testing

/// What is too small: only channels that are constant have no covariance; every other root is right whatever the scale of
/// the features and however large their means.
@Suite struct RangeTests {
  /// Every root that starts from features, each of which is homogeneous: root(c² Σ) = c root(Σ).
  static let roots = [
    "newton-schulz:form=direct", "newton-schulz:scaling=frobenius,form=direct",
    "newton-schulz:form=gram", "newton-schulz:scaling=frobenius,form=gram",
    "newton-schulz:iterations=12,form=gram", "newton-schulz:tolerance=1e-2,form=gram", "newton-schulz:iterations=12",
    "newton-schulz:tolerance=1e-2",
    "newton-schulz:gradient=lyapunov", "taylor", "pade", "power:road=full", "power:road=gram", "power:road=svd",
    "power:road=full,solver=mrrr",
  ]
  /// To the smallest normal numbers of single precision and to where d N features of one sign would overflow.
  static let scales: [Double] = [1e-36, 1e-30, 1e-20, 1e-15, 1e-6, 1, 1e6, 1e18, 1e30, 1e37]

  /// Full rank, well conditioned, and of few positions.
  private static let samples = [
    features(singularValues: [3, 2.5, 2, 1.5], channels: 4, positions: 9),
    features(singularValues: [3, 2, 1], channels: 6, positions: 5),
  ]

  private func operation(_ text: String) throws -> [any TensorOperation] {
    // svPN's learned vector has no say in what is in range.
    try CovarianceNormalization(text).normalizer.matrixSteps.filter(\.parameters.isEmpty).map(\.operation)
  }

  /// The value and the gradient with respect to the features.
  private func results<Scalar: RealScalar>(
    _ operations: [any TensorOperation], _ x: Tensor<Scalar>
  ) throws -> (value: Tensor<Scalar>, gradient: Tensor<Scalar>) {
    try checkingNumerics {
      let result = valueWithGradients(at: [x]) { x in probe(operations.reduce(x[0]) { $1.applied(to: $0) }) }
      return (operations.reduce(x) { $1.applied(to: $0) }, result.gradients[0])
    }
  }

  /// Powers of two, so that scaled features are the same digits.
  private func power(near scale: Double) -> Double { Double(sign: .plus, exponent: scale.exponent, significand: 1) }

  private func times<Scalar: RealScalar>(_ factor: Double, _ x: Tensor<Double>, as _: Scalar.Type) -> Tensor<Scalar> {
    Tensor(x.shape, x.scalars.map { Scalar(Double(Float($0)) * factor) })
  }

  @Test(arguments: roots)
  func `A root is homogeneous, and its gradient does not depend on the scale`(_ text: String) throws {
    func check<Scalar: RealScalar>(_ scales: [Double], as _: Scalar.Type) throws {
      for sample in Self.samples {
        let one = try results(operation(text), times(1, sample, as: Scalar.self))
        let wanted = (
          one.value.scalars.map { Double($0) }, Tensor<Double>(sample.shape, one.gradient.scalars.map { Double($0) })
        )
        for scale in scales.map(power(near:)) {
          let found = try results(operation(text), times(scale, sample, as: Scalar.self))
          let value = Tensor<Double>(one.value.shape, found.value.scalars.map { Double($0) / scale })
          let tolerance = Scalar.self == Float.self ? 2e-5 : 1e-12
          #expect(relativeError(value, Tensor(one.value.shape, wanted.0)) <= tolerance, "\(Scalar.name) at \(scale)")
          #expect(relativeError(found.gradient, wanted.1) <= 10 * tolerance, "gradient, \(Scalar.name) at \(scale)")
        }
      }
    }
    try check(Self.scales, as: Float.self)
    try check(Self.scales + [1e-300, 1e-160, 1e160, 1e300], as: Double.self)
  }

  @Test func `Deviations count beside any mean that represents them`() throws {
    // The deviations are whole multiples of what single precision resolves at the mean, and so exact.
    let deviations = (0..<6 * 20).map { Double(($0 * 7919) % 13 - 6) }
    func sample<Scalar: RealScalar>(_ mean: Double, _ unit: Double, as _: Scalar.Type) -> Tensor<Scalar> {
      Tensor([1, 6, 20], deviations.map { Scalar(mean + unit * $0) })
    }
    for text in Self.roots {
      let wanted = try results(operation(text), sample(0, 1, as: Double.self))
      for (mean, unit) in [(1e7, 1.0), (-1e7, 1), (1e4, 1 / 512.0), (3e30, 0x1p79)] {
        let float = try results(operation(text), sample(mean, unit, as: Float.self))
        #expect(
          relativeError(Tensor<Double>(wanted.value.shape, float.value.scalars.map { Double($0) / unit }), wanted.value)
            <= 1e-5, "\(text) beside \(mean)")
        #expect(relativeError(float.gradient, wanted.gradient) <= 1e-4, "\(text) beside \(mean)")
      }
      let double = try results(operation(text), sample(1e15, 0.5, as: Double.self))
      #expect(
        relativeError(Tensor<Double>(wanted.value.shape, double.value.scalars.map { $0 / 0.5 }), wanted.value) <= 1e-9,
        "\(text)")
    }
    let sigma = Covariance().applied(to: sample(1e7, 1, as: Float.self))
    #expect(relativeError(sigma, Covariance().applied(to: sample(0, 1, as: Double.self))) <= 1e-6)
  }

  @Test(arguments: CovarianceNormalization.names)
  func `Constant channels are 0 for every normalisation, one number less than constant is not`(_ name: String) throws {
    let normalization = try CovarianceNormalization(name)
    func vector<Scalar: RealScalar>(_ x: Tensor<Scalar>) throws -> Tensor<Scalar> {
      try checkingNumerics {
        let normalizer = normalization.normalizer
        let learned = normalizer.parameters(dimension: 5).map {
          $0.initializer.values($0.shape, RandomStream(seed: 0, name: $0.name)) as Tensor<Scalar>
        }
        let matrix = normalizer.matrixSteps.reduce(x) { $1($0, learned) }
        return normalizer.vectorSteps.reduce(UpperTriangle().applied(to: matrix)) { $1($0, learned) }
      }
    }
    func check<Scalar: RealScalar>(as _: Scalar.Type) throws {
      for positions in [1, 2, 49, 1000] {
        // Numbers whose sums are rounded.
        var x = (0..<5 * positions).map { Scalar(Double($0 / positions) * 1.7 + 0.1) * 1e7 }
        if normalization != .bilinear {
          #expect(try vector(Tensor([1, 5, positions], x)).scalars.allSatisfy { $0 == 0 }, "\(Scalar.name)")
        }
        guard positions > 1 else { continue }
        x[3] = x[3].nextUp
        #expect(try vector(Tensor([1, 5, positions], x)).scalars.contains { $0 != 0 }, "\(Scalar.name)")
      }
    }
    try check(as: Float.self)
    try check(as: Double.self)
  }

  @Test func `A covariance that its type cannot hold is an error, never 0`() throws {
    let sample = Self.samples[0]
    func failure<Scalar: RealScalar>(_ scale: Double, _ covariance: Covariance, as _: Scalar.Type) -> NumericalFailure?
    {
      let both = [sample, times(scale, sample, as: Double.self)].flatMap { $0.scalars.map { Scalar($0) } }
      let x = Tensor<Scalar>([2, 4, 9], both)
      do { _ = try checkingNumerics { covariance.applied(to: x) } } catch { return error as? NumericalFailure }
      return nil
    }
    for covariance in [Covariance(), Covariance(isCentered: false)] {
      for scale in [1e-18, 1, 1e17] { #expect(failure(scale, covariance, as: Float.self) == nil, "\(scale)") }
      for (scale, words) in [(1e-38, "below"), (1e-30, "below"), (1e-20, "below"), (1e20, "out of"), (1e30, "out of")] {
        let found = failure(scale, covariance, as: Float.self)
        #expect(found?.sample == 1 && found?.operation == "Covariance", "\(scale)")
        #expect(found?.reason == "the variances are \(words) the range of float32", "\(scale)")
      }
      #expect(failure(1e-150, covariance, as: Double.self) == nil)
      #expect(failure(1e-200, covariance, as: Double.self)?.reason == "the variances are below the range of float64")
    }
    // What needs Σ itself says so for each normalisation that does.
    for text in ["none", "epn", "bcnn", "scale", "svpn", "layernorm"] {
      let tiny = times(1e-30, sample, as: Float.self)
      #expect(throws: NumericalFailure.self, "\(text)") { try results(operation(text), tiny) }
    }
  }

  @Test func `Powers and logarithms of tiny and of huge features`() throws {
    for sample in Self.samples {
      for (text, value) in [
        ("power:exponent=0.3", { $0 * pow($1, 0.6) }), ("power:exponent=0.75", { $0 * pow($1, 1.5) }),
      ] as [(String, (Double, Double) -> Double)] {
        let one = try results(operation(text), sample)
        for scale in [1e-25, 1e-12, 1e25].map(power(near:)) {
          let found = try results(operation(text), times(scale, sample, as: Float.self))
          #expect(
            relativeError(found.value, Tensor(one.value.shape, one.value.scalars.map { value($0, scale) })) <= 1e-4,
            "\(text) at \(scale)")
          #expect(found.gradient.isFinite)
        }
      }
      let one = try results(operation("log"), sample)
      let d = sample.shape[1]
      for scale in [1e-30, 1e30].map(power(near:)) {
        let found = try results(operation("log"), times(scale, sample, as: Float.self))
        let wanted = one.value.scalars.enumerated().map { $1 + ($0 % (d + 1) == 0 ? 2 * log(scale) : 0) }
        #expect(relativeError(found.value, Tensor(one.value.shape, wanted)) <= 1e-5)
        #expect(found.gradient.isFinite)
      }
    }
    // Σ² of such features is no number.
    for scale in [1e-15, 1e15] {
      #expect(throws: NumericalFailure.self) {
        try results(operation("power:exponent=2"), times(scale, Self.samples[0], as: Float.self))
      }
    }
  }
}
