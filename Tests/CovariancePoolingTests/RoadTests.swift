import CovariancePooling
import Foundation
import TestSupport
import Testing

/// Ways to an exact function of the covariance.
private let roads: [CovarianceFunction] = CovarianceFunction.Road.allCases.flatMap { road in
  (road == .svd ? [EigenAlgorithm.divideAndConquer] : EigenAlgorithm.allCases).map {
    CovarianceFunction(road: road, by: $0)
  }
}

@Suite struct RoadTests {
  /// Spectra that a decomposition may stumble over: σ of 24 × 40 (full rank) and 40 × 24 (rank at most 23) features.
  static let spectra: [String: [Double]] = [
    "flat": [Double](repeating: 1, count: 20), "decaying": (0..<20).map { exp(-0.18 * Double($0)) },
    "condition 1e14": (0..<20).map { exp(-0.85 * Double($0)) }, "rank 3": [3, 2, 1], "rank 1": [2],
    "repeated": [4, 4, 4, 1, 1, 1, 1, 0.5, 0.5],
  ]

  @Test(arguments: spectra.keys.sorted(), [(24, 40), (40, 24)])
  private func `Every road finds the root in single precision, singular or not`(
    _ spectrum: String, _ sizes: (d: Int, n: Int)
  ) throws {
    let values = try #require(Self.spectra[spectrum])
    for scale in [1e-12, 1, 1e12] {
      let exact = features(singularValues: values, channels: sizes.d, positions: sizes.n, scale: scale)
      let single = Tensor<Float>(exact.shape, exact.scalars.map { Float($0) })
      // The features are what single precision made of them.
      let want = CovarianceFunction(road: .svd).applied(
        to: Tensor<Double>(exact.shape, single.scalars.map(Double.init)))
      for road in roads {
        #expect(relativeError(road.applied(to: single), want) <= 1e-5, "\(road) at scale \(scale)")
      }
    }
  }

  @Test(arguments: spectra.keys.sorted(), [(24, 40), (40, 24)])
  private func `All roads agree in double precision, and their squares are the covariance`(
    _ spectrum: String, _ sizes: (d: Int, n: Int)
  ) throws {
    let values = try #require(Self.spectra[spectrum])
    let x = features(singularValues: values, channels: sizes.d, positions: sizes.n)
    let sigma = Covariance().applied(to: x)
    let want = CovarianceFunction(road: .svd).applied(to: x)
    for road in roads {
      let root = road.applied(to: x)
      // Squared features know eigenvalues to ε λ₁, and so roots to √ε √λ₁ in the worst case.
      #expect(relativeError(root, want) <= 1e-7, "\(road)")
      #expect((squareRootResiduals(root, of: sigma).max() ?? 1) <= 1e-13, "\(road)")
    }
    for algorithm in EigenAlgorithm.allCases {
      #expect((squareRootResiduals(MatrixFunction(by: algorithm).applied(to: sigma), of: sigma).max() ?? 1) <= 1e-13)
    }
  }

  @Test func `Single precision decomposes covariances that are well conditioned to 1e-5`() {
    let exact = features(singularValues: (0..<24).map { exp(-0.15 * Double($0)) }, channels: 24, positions: 40)
    let sigma = Covariance().applied(to: exact)
    let want = MatrixFunction().applied(to: sigma)
    for algorithm in EigenAlgorithm.allCases {
      let found = MatrixFunction(by: algorithm).applied(to: Tensor<Float>(sigma.shape, sigma.scalars.map { Float($0) }))
      #expect(relativeError(found, want) <= 1e-5)
    }
  }

  @Test func `A logarithm by hand, on every road`() {
    // Σ = diag(4, 1, 0), mean 5/3.
    let x = Tensor<Double>([1, 3, 4], [2, -2, 2, -2, 1, 1, -1, -1, 5, 5, 5, 5])
    let shift = 0.003
    let want = [4.0, 0, 0, 0, 1, 0, 0, 0, 0].enumerated().map { index, value in
      index % 4 == 0 ? log(value + shift * 5 / 3) : 0
    }
    for road in roads {
      let found = CovarianceFunction(.logarithm(shift: shift), road: road.road, by: road.algorithm).applied(to: x)
      #expect(largestError(found.scalars, want) < 1e-13)
    }
    let sigma = Covariance().applied(to: x)
    #expect(largestError(MatrixFunction(.logarithm(shift: shift)).applied(to: sigma).scalars, want) < 1e-13)
  }

  @Test func `The logarithm of a scaled covariance is shifted, not changed`() {
    let x = features(singularValues: [3, 2, 1], channels: 5, positions: 9)
    let logarithm = CovarianceFunction(.logarithm())
    let found = logarithm.applied(to: Tensor<Double>(x.shape, x.scalars.map { $0 * 1e6 }))
    var want = logarithm.applied(to: x).scalars
    for i in 0..<5 { want[i * 6] += 12 * log(10.0) }
    #expect(largestError(found.scalars, want) < 1e-9)
  }

  @Test func `Constant features and no features have no root, logarithm or gradient`() {
    for constant in [Float(0), 0.7] {
      let x = Tensor<Float>([2, 6, 3, 3], repeating: constant)
      for function in [SpectralFunction.squareRoot, .logarithm()] {
        for road in roads {
          let operation = CovarianceFunction(function, road: road.road, by: road.algorithm)
          let result = valueWithGradients(at: [x]) { probe(operation.applied(to: $0[0])) }
          #expect(result.value.item == 0 && result.gradients[0].scalars.allSatisfy { $0 == 0 })
        }
      }
      let sigma = Covariance().applied(to: x)
      for operation: any TensorOperation in [
        NewtonSchulz(tolerance: 1e-3), MatrixTaylor(), MatrixPade(), MatrixFunction(), MatrixFunction(.logarithm()),
        NewtonSchulz().differentiated(by: .lyapunov),
        MatrixPade().differentiated(by: .iterativeLyapunov()),
      ] {
        let result = valueWithGradients(at: [sigma]) { probe(operation.applied(to: $0[0])) }
        #expect(result.value.item == 0 && result.gradients[0].scalars.allSatisfy { $0 == 0 })
      }
    }
  }

  @Test func `Sequences and maps of any rank pool alike`() {
    let x = features(singularValues: [3, 2, 1], channels: 5, positions: 12)
    for road in roads {
      #expect(road.applied(to: x).scalars == road.applied(to: x.reshaped(to: [1, 5, 3, 4])).scalars)
    }
  }
}

@Suite struct RoadGradientTests {
  /// Features with repeated eigenvalues, of full and of lesser rank, and as few positions as at 224 px in proportion.
  static let cases: [(name: String, x: Tensor<Double>)] = [
    ("full rank", random([2, 4, 9])), ("few positions", random([2, 6, 4])), ("a map", random([1, 5, 3, 2])),
    ("repeated", features(singularValues: [2, 2, 2, 1], channels: 4, positions: 8)),
    ("all equal", features(singularValues: [1, 1, 1], channels: 3, positions: 7)),
    ("repeated, rank deficient", features(singularValues: [2, 2, 1], channels: 6, positions: 4)),
  ]

  private static func random(_ shape: Shape) -> Tensor<Double> {
    Tensor(shape, unit("road features", count: shape.scalarCount).map(Double.init))
  }

  @Test(arguments: cases.indices)
  private func `Every exact road has the gradient of finite differences`(_ index: Int) {
    let (name, x) = Self.cases[index]
    for road in roads {
      let error = gradientError(at: [x]) { probe(road.applied(to: $0[0])) }
      #expect(error < 1e-5, "\(road), \(name)")
      for function in [SpectralFunction.power(0.3), .power(2), .logarithm(shift: 0.01)] {
        let operation = CovarianceFunction(function, road: road.road, by: road.algorithm)
        #expect(gradientError(at: [x]) { probe(operation.applied(to: $0[0])) } < 1e-4, "\(operation), \(name)")
      }
      for gradient in [SquareRootGradient.dividedDifferences, .lyapunov] {
        let operation = road.differentiated(by: gradient)
        #expect(gradientError(at: [x]) { probe(operation.applied(to: $0[0])) } < 1e-4, "\(road), \(gradient), \(name)")
      }
    }
    for algorithm in EigenAlgorithm.allCases {
      for function in [SpectralFunction.squareRoot, .logarithm(shift: 0.01)] {
        let operation = MatrixFunction(function, by: algorithm)
        let error = gradientError(at: [x]) { probe(operation.applied(to: Covariance().applied(to: $0[0]))) }
        #expect(error < 1e-4, "\(operation), \(name)")
      }
    }
  }

  @Test(arguments: [1, 2, 3, 10])
  func `Taylor and Padé have the gradient of finite differences`(_ degree: Int) {
    for (name, x) in Self.cases {
      for operation: any TensorOperation in [MatrixTaylor(degree: degree), MatrixPade(degree: degree)] {
        let error = gradientError(at: [x]) { probe(operation.applied(to: Covariance().applied(to: $0[0]))) }
        #expect(error < 1e-5, "\(operation), \(name)")
      }
    }
  }

  @Test func `Newton–Schulz to a tolerance has the gradient of its iterations`() {
    for (name, x) in Self.cases {
      let error = gradientError(at: [x]) {
        probe(NewtonSchulz(tolerance: 1e-6).applied(to: Covariance().applied(to: $0[0])))
      }
      #expect(error < 1e-5, "\(name)")
    }
  }

  @Test func `A converged approximation has the exact root's gradient by whatever solves the Lyapunov equation`() {
    let x = features(singularValues: [3, 2.5, 2, 1.5], channels: 4, positions: 9)
    let sigma = Covariance().applied(to: x)
    func gradient(_ operation: any TensorOperation) -> Tensor<Double> {
      valueWithGradients(at: [sigma]) { probe(operation.applied(to: $0[0])) }.gradients[0]
    }
    let want = gradient(MatrixFunction())
    for gradientKind in [
      SquareRootGradient.dividedDifferences, .lyapunov, .iterativeLyapunov(iterations: 20, tolerance: 1e-6),
    ] {
      for operation: any SquareRootOperation in [NewtonSchulz(iterations: 25), MatrixPade(degree: 30)] {
        #expect(relativeError(gradient(operation.differentiated(by: gradientKind)), want) < 1e-8)
      }
    }
  }

  @Test func `In single precision gradients are within 1e-4, few positions or repeated eigenvalues`() {
    for (name, x) in Self.cases {
      let single = Tensor<Float>(x.shape, x.scalars.map { Float($0) })
      let widened = Tensor<Double>(x.shape, single.scalars.map(Double.init))
      let want = valueWithGradients(at: [widened]) { probe(CovarianceFunction(road: .svd).applied(to: $0[0])) }
      for road in roads {
        let found = valueWithGradients(at: [single]) { probe(road.applied(to: $0[0])) }
        #expect(relativeError(found.gradients[0], want.gradients[0]) < 1e-4, "\(road), \(name)")
      }
    }
  }
}

@Suite struct NumericalFailureTests {
  private let deficient = features(singularValues: [3, 2, 1], channels: 6, positions: 9)

  @Test func `The iterative Lyapunov gradient of a singular covariance is an error that names the sample`() {
    let full = features(singularValues: [3, 2.5, 2, 2, 2, 1.9], channels: 6, positions: 9)
    let both = Tensor<Double>([2, 6, 9], full.scalars + deficient.scalars)
    let operation = NewtonSchulz(iterations: 15).differentiated(by: .iterativeLyapunov(iterations: 12, tolerance: 1e-2))
    func gradients() -> [Tensor<Double>] {
      valueWithGradients(at: [both]) { probe(operation.applied(to: Covariance().applied(to: $0[0]))) }.gradients
    }
    let failure = #expect(throws: NumericalFailure.self) { try checkingNumerics { gradients() } }
    #expect(failure?.sample == 1 && failure?.operation == "NewtonSchulz")
    #expect(failure?.reason.contains("full rank") == true)
    // Without the check nothing is hidden either, and the other sample is right.
    let scalars = gradients()[0].scalars
    #expect(scalars[..<54].allSatisfy { $0.isFinite } && scalars[54...].allSatisfy { $0.isNaN })
  }

  @Test func `An iteration that does not reach its tolerance is an error with what it reached`() {
    let sigma = Covariance().applied(to: deficient)
    let operation = NewtonSchulz(iterations: 3, tolerance: 1e-6)
    let failure = #expect(throws: NumericalFailure.self) { try checkingNumerics { operation.applied(to: sigma) } }
    #expect(failure?.sample == 0)
    #expect(failure?.description.contains("after 3 iterations; found 0.") == true)
    #expect(operation.applied(to: sigma).scalars.allSatisfy { $0.isNaN })
    let result = valueWithGradients(at: [sigma]) { probe(operation.applied(to: $0[0])) }
    #expect(result.gradients[0].scalars.allSatisfy { $0.isNaN })
  }

  @Test func `A tolerance holds for the result itself`() throws {
    let sigma = Covariance().applied(to: deficient)
    for tolerance in [1e-1, 1e-3, 1e-9] {
      let root = try checkingNumerics { NewtonSchulz(tolerance: tolerance).applied(to: sigma) }
      let residual = squareRootResiduals(root, of: sigma)[0]
      #expect(residual <= tolerance * 1.001 && residual > 0)
    }
    // In single precision as well, through more iterations than mirrored triangles would stand.
    let single = Tensor<Float>(sigma.shape, sigma.scalars.map { Float($0) })
    let root = try checkingNumerics { NewtonSchulz(tolerance: 1e-5).applied(to: single) }
    #expect(squareRootResiduals(root, of: single)[0] <= 1.1e-5)
  }

  @Test func `The residual tells a root from what is none`() {
    let sigma = Covariance().applied(to: deficient)
    #expect(squareRootResiduals(sigma, of: sigma)[0] > 0.1)
    #expect(squareRootResiduals(NewtonSchulz().applied(to: sigma), of: sigma)[0] > 1e-3)
    #expect(squareRootResiduals(MatrixFunction().applied(to: sigma), of: sigma)[0] < 1e-14)
    let zero = Tensor<Double>([1, 2, 2], repeating: 0)
    #expect(squareRootResiduals(zero, of: zero) == [0])
  }

  /// One large singular value and many small ones, which single precision must neither lose nor take for rounding.
  @Test(arguments: [(24, 40), (40, 24), (24, 200)])
  private func `Small singular values beside a large one count on every road`(_ sizes: (d: Int, n: Int)) {
    let values = [1] + (0..<19).map { 5e-5 * exp(-0.05 * Double($0)) }
    let exact = features(singularValues: values, channels: sizes.d, positions: sizes.n)
    let single = Tensor<Float>(exact.shape, exact.scalars.map { Float($0) })
    let x = Tensor<Double>(exact.shape, single.scalars.map(Double.init))
    let slope = Tensor<Double>([1, sizes.d, sizes.d], unit("slope", count: sizes.d * sizes.d).map(Double.init))
    func gradient<Scalar: RealScalar>(_ road: CovarianceFunction, _ x: Tensor<Scalar>) -> Tensor<Scalar>? {
      let application = road.apply([x], needsGradient: [true])
      return road.pullback(Tensor(slope.shape, slope.scalars.map(Scalar.init)), application)[0]
    }
    let want = (CovarianceFunction(road: .svd).applied(to: x), gradient(CovarianceFunction(road: .svd), x))
    for road in roads {
      #expect(relativeError(road.applied(to: single), want.0) <= 1e-5, "\(road)")
      guard let double = gradient(road, x), let float = gradient(road, single), let exact = want.1 else {
        Issue.record("no gradient")
        continue
      }
      #expect(relativeError(double, exact) <= 1e-5, "\(road)")
      // The vectors of the small ones are known to ε σ₁/σᵢ where X̃ itself is decomposed in single precision.
      #expect(relativeError(float, exact) <= (road.road == .svd ? 1e-2 : 1e-5), "\(road)")
    }
  }

  @Test func `Large means do not disturb what they leave, nor the direction that they take`() {
    let varying = features(
      singularValues: (0..<23).map { exp(-0.1 * Double($0)) }, channels: 40, positions: 24, scale: 0.01)
    for mean in [10.0, 100] {
      let single = Tensor<Float>(varying.shape, varying.scalars.map { Float(mean + $0) })
      let x = Tensor<Double>(varying.shape, single.scalars.map(Double.init))
      let slope = Tensor<Double>([1, 40, 40], unit("slope", count: 1600).map(Double.init))
      let gradients = roads.map { road in
        road.pullback(slope, road.apply([x], needsGradient: [true]))[0] ?? slope
      }
      let want = CovarianceFunction(road: .full).applied(to: x)
      for (road, gradient) in zip(roads, gradients) {
        #expect(relativeError(road.applied(to: single), want) <= 1e-5, "\(road), mean \(mean)")
        #expect(relativeError(gradient, gradients[0]) <= 1e-8, "\(road), mean \(mean)")
      }
    }
  }

  @Test(arguments: [1e-25, 1e-19, 1e19, 1e25])
  func `An exact root is found wherever it is in range, though its covariance is not`(_ scale: Double) throws {
    let exact = features(singularValues: [3, 2, 1, 0.5], channels: 6, positions: 9, scale: scale)
    let single = Tensor<Float>(exact.shape, exact.scalars.map { Float($0) })
    let want = CovarianceFunction().applied(to: Tensor<Double>(exact.shape, single.scalars.map(Double.init)))
    for road in roads {
      let root = try checkingNumerics { road.applied(to: single) }
      #expect(relativeError(root, want) <= 1e-5, "\(road)")
    }
  }

  @Test func `What is out of range is an error that names the sample`() throws {
    let one = features(singularValues: [3, 2, 1, 0.5], channels: 6, positions: 9).scalars.map { Float($0) }
    func batch(_ scale: Float) -> Tensor<Float> { Tensor([2, 6, 9], one + one.map { $0 * scale }) }
    func failure(_ body: () -> Tensor<Float>) -> NumericalFailure? {
      do { _ = try checkingNumerics(body) } catch { return error as? NumericalFailure }
      return nil
    }
    #expect(failure { Covariance().applied(to: batch(1e21)) }?.sample == 1)
    #expect(failure { CovarianceFunction(.power(1e4)).applied(to: batch(100)) }?.sample == 1)
    let sigma = Covariance().applied(to: batch(1)).scalars
    let tiny = Tensor<Float>([2, 6, 6], sigma[..<36] + sigma[36...].map { $0 * 0x1p-136 })
    for root: any TensorOperation in [NewtonSchulz(), NewtonSchulz(scaling: .frobenius), MatrixTaylor(), MatrixPade()] {
      let found = try #require(failure { root.applied(to: tiny) })
      #expect(found.sample == 1 && found.reason.contains("out of the range of float32"), "\(found)")
    }
  }

  @Test func `Gradients of small covariances are in range`() throws {
    let exact = features(singularValues: [3, 2, 1, 0.5], channels: 4, positions: 9, scale: 1e-17)
    let sigma = Covariance().applied(to: Tensor<Float>(exact.shape, exact.scalars.map { Float($0) }))
    let wide = Tensor<Double>(sigma.shape, sigma.scalars.map(Double.init))
    let slope = unit("slope", count: 16)
    func gradient<Scalar: RealScalar>(_ root: some TensorOperation, _ x: Tensor<Scalar>) throws -> Tensor<Scalar> {
      let slope = Tensor(x.shape, slope.map { Scalar($0) })
      return try #require(root.pullback(slope, root.apply([x], needsGradient: [true]))[0])
    }
    for root: any TensorOperation in [NewtonSchulz(), NewtonSchulz(scaling: .frobenius), MatrixTaylor(), MatrixPade()] {
      let error = relativeError(try gradient(root, sigma), try gradient(root, wide))
      #expect(error <= 1e-4, "\(root)")
    }
  }

  @Test func `More positions than LAPACK decomposes are no obstacle to the Gram road`() {
    let x = Tensor<Double>([1, 2, 33_000], unit("long", count: 66_000).map(Double.init))
    let (gram, full) = (CovarianceFunction(road: .gram).applied(to: x), CovarianceFunction(road: .full).applied(to: x))
    #expect(gram.scalars == full.scalars)
  }

  @Test func `The first power is Σ itself, and its gradient the gradient's symmetric part, singular or not`() throws {
    let sigma = Covariance().applied(to: features(singularValues: [3, 2, 1], channels: 6, positions: 9))
    let first = MatrixFunction(.power(1))
    #expect(relativeError(first.applied(to: sigma), sigma) <= 1e-13)
    let g = Tensor<Double>([1, 6, 6], unit("slope", count: 36).map(Double.init))
    let gradient = try #require(first.pullback(g, first.apply([sigma], needsGradient: [true]))[0])
    let scalars = Array(g.scalars)
    let want = (0..<36).map { (at: Int) -> Double in (scalars[at] + scalars[at % 6 * 6 + at / 6]) / 2 }
    #expect(relativeError(gradient, Tensor([1, 6, 6], want)) <= 1e-12)
  }

  @Test func `What is not finite is NaN, not an error of the method`() throws {
    var x = deficient
    x.withUnsafeMutableScalars { $0[3] = .infinity }
    for road in roads {
      let root = try checkingNumerics { road.applied(to: x) }
      #expect(root.scalars.allSatisfy { $0.isNaN })
      let result = valueWithGradients(at: [x]) { probe(road.applied(to: $0[0])) }
      #expect(result.gradients[0].scalars.contains { $0.isNaN })
    }
    let sigma = Covariance().applied(to: x)
    for operation: any TensorOperation in [NewtonSchulz(), NewtonSchulz(tolerance: 1e-3), MatrixTaylor(), MatrixPade()]
    {
      let root = try checkingNumerics { operation.applied(to: sigma) }
      #expect(root.scalars.contains { $0.isNaN })
    }
  }
}
