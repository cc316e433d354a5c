import CovariancePooling
import Foundation
import TestSupport
import Testing

/// Features `[B, d, N]` between −1 and 1, of which each sample has its own means.
private func features(_ shape: Shape, _ name: String = "gram") -> Tensor<Double> {
  let count = shape[1] * shape[2]
  return Tensor(
    shape,
    unit(name, count: shape.scalarCount).enumerated().map { Double($1) + 0.3 * Double($0 / count % 3) })
}

private func root(
  _ form: NewtonSchulz.Form, _ iterations: Int? = nil, _ scaling: NewtonSchulz.Scaling = .trace,
  tolerance: Double? = nil
) -> CovarianceRoot {
  CovarianceRoot(
    root: NewtonSchulz(iterations: iterations, scaling: scaling, tolerance: tolerance, form: form))
}

/// The root, a probe of it and the probe's gradient with respect to the features.
private func results<Scalar: RealScalar>(
  _ root: CovarianceRoot, _ x: Tensor<Scalar>
) -> (value: Tensor<Scalar>, probe: Scalar, gradient: Tensor<Scalar>) {
  let application = root.apply([x], needsGradient: [true])
  let slope = slope(of: application.output.shape, as: Scalar.self)
  let product = zip(slope.scalars, application.output.scalars).reduce(0) { $0 + $1.0 * $1.1 }
  return (application.output, product, root.pullback(slope, application)[0] ?? x)
}

/// A gradient that is not symmetric.
private func slope<Scalar: RealScalar>(of shape: Shape, as _: Scalar.Type) -> Tensor<Scalar> {
  Tensor(shape, unit("slope", count: shape.scalarCount).map { Scalar($0) })
}

private func single(_ x: Tensor<Double>) -> Tensor<Float> { Tensor(x.shape, x.scalars.map { Float($0) }) }
private func double(_ x: Tensor<Float>) -> Tensor<Double> { Tensor(x.shape, x.scalars.map { Double($0) }) }

@Suite struct GramFormTests {
  /// d and N as in networks and smaller; more positions than channels among them.
  private static let sizes: [Shape] = [
    [2, 6, 20], [3, 24, 9], [2, 16, 49], [1, 64, 49], [1, 256, 49], [2, 5, 2], [2, 1, 4],
  ]

  @Test(arguments: sizes, NewtonSchulz.Scaling.allCases)
  private func `It is the direct form in double precision, forwards and backwards`(
    _ shape: Shape, _ scaling: NewtonSchulz.Scaling
  ) {
    let x = features(shape)
    for iterations in shape[1] == 256 ? [5] : [1, 2, 3, 4, 5, 7, 10] {
      let (direct, gram) = (
        results(root(.direct, iterations, scaling), x), results(root(.gram, iterations, scaling), x)
      )
      #expect(relativeError(gram.value, direct.value) <= 1e-13, "\(iterations) iterations")
      #expect(relativeError(gram.gradient, direct.gradient) <= 1e-13, "\(iterations) iterations")
      // What inference computes is what training does.
      #expect(relativeError(root(.gram, iterations, scaling).forward([x]), gram.value) <= 1e-13)
    }
  }

  @Test(arguments: NewtonSchulz.Scaling.allCases, [1, 2, 3, 5, 9])
  private func `Its gradient is that of finite differences`(_ scaling: NewtonSchulz.Scaling, _ iterations: Int) {
    for shape: Shape in [[2, 4, 9], [2, 6, 4], [1, 3, 2]] {
      #expect(
        gradientError(at: [features(shape)]) { probe(root(.gram, iterations, scaling).applied(to: $0[0])) } < 1e-6)
    }
    let converged = root(.gram, nil, scaling, tolerance: 1e-6)
    #expect(gradientError(at: [features([2, 6, 4])]) { probe(converged.applied(to: $0[0])) } < 1e-5)
  }

  @Test(arguments: NewtonSchulz.Scaling.allCases)
  private func `A root is homogeneous: the gradient's product with the features is the slope's with the root`(
    _ scaling: NewtonSchulz.Scaling
  ) {
    for shape in Self.sizes {
      let x = features(shape)
      let found = results(root(.gram, 5, scaling), x)
      let product = zip(found.gradient.scalars, x.scalars).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(product - found.probe) <= 1e-12 * max(1, abs(found.probe)))
    }
  }

  @Test func `The gradient of each channel has mean 0`() {
    for shape in Self.sizes {
      let gradient = results(root(.gram, 5), features(shape)).gradient.scalars
      let largest = gradient.reduce(0) { max($0, abs($1)) }
      for row in stride(from: 0, to: gradient.count, by: shape[2]) {
        #expect(abs(gradient[row..<row + shape[2]].reduce(0, +)) <= 1e-12 * max(largest, 1e-3))
      }
    }
  }

  /// Decaying spectra are where rounding shows. With more positions than channels K is singular where Σ is not, and what
  /// rounding leaves in its null space grows with many iterations.
  @Test(arguments: [(64, 49, [1, 2, 5, 8, 9, 15, 25]), (40, 24, [1, 2, 5, 8, 9, 15, 25]), (24, 40, [1, 2, 5, 8])])
  private func `In single precision it is no less exact than the direct form`(
    _ sizes: (d: Int, n: Int, iterations: [Int])
  ) {
    let count = min(sizes.d, sizes.n - 1)
    let spectrum = (0..<count).map { exp(-3.4 * Double($0) / Double(count)) }
    let x = single(CovariancePoolingTests.features(singularValues: spectrum, channels: sizes.d, positions: sizes.n))
    for iterations in sizes.iterations {
      let want = results(root(.direct, iterations), double(x))
      let (direct, gram) = (results(root(.direct, iterations), x), results(root(.gram, iterations), x))
      #expect(
        relativeError(gram.value, want.value) <= max(2e-6, relativeError(direct.value, want.value)),
        "\(iterations) iterations")
      #expect(
        relativeError(gram.gradient, want.gradient) <= max(6e-6, relativeError(direct.gradient, want.gradient)),
        "\(iterations) iterations")
    }
  }

  @Test func `The result is symmetric`() {
    for shape: Shape in [[1, 70, 33], [1, 40, 100]] {
      for form in [NewtonSchulz.Form.gram, .direct] {
        let s = root(form).forward([single(features(shape))]).scalars
        let (d, largest) = (shape[1], s.reduce(0) { max($0, abs($1)) })
        for i in 0..<d { for j in 0..<i { #expect(abs(s[i * d + j] - s[j * d + i]) <= 1e-6 * largest) } }
      }
    }
  }

  @Test func `By default it is taken where there are fewer positions than channels`() {
    for (shape, form) in [
      ([2, 40, 24], .gram), ([1, 256, 49], .gram), ([1, 256, 196], .gram), ([1, 24, 40], .direct),
      ([1, 128, 196], .direct),
    ] as [(Shape, NewtonSchulz.Form)] {
      withSettledProcess {
        let x = single(features(shape))
        let (chosen, forced) = (results(root(.automatic), x), results(root(form), x))
        #expect(chosen.value.scalars == forced.value.scalars && chosen.gradient.scalars == forced.gradient.scalars)
      }
    }
  }

  @Test func `Another gradient than its own keeps the direct form`() {
    let x = features([2, 8, 5])
    func gradient(_ form: NewtonSchulz.Form) -> Tensor<Double> {
      let root = CovarianceRoot(root: NewtonSchulz(iterations: 12, form: form).differentiated(by: .lyapunov))
      return valueWithGradients(at: [x]) { probe(root.applied(to: $0[0])) }.gradients[0]
    }
    withSettledProcess { #expect(gradient(.gram).scalars == gradient(.direct).scalars) }
  }

  /// Enough samples for one on each thread, and fewer.
  @Test(arguments: [5, 9])
  func `Neither the batch nor the number of threads changes a bit`(_ iterations: Int) {
    func check<Scalar: RealScalar>(_ x: Tensor<Scalar>) {
      let (batch, count) = (x.shape[0], x.shape[1] * x.shape[2])
      let operation = root(.gram, iterations)
      let together = withThreads(2) { (results(operation, x), operation.forward([x])) }
      for threads in [1, 2, 3] {
        withThreads(threads) {
          for sample in 0..<batch {
            let one = Tensor<Scalar>(
              [1, x.shape[1], x.shape[2]], x.scalars[sample * count..<(sample + 1) * count].map { $0 })
            let application = operation.apply([one], needsGradient: [true])
            let size = x.shape[1] * x.shape[1]
            let slope = slope(of: [batch, x.shape[1], x.shape[1]], as: Scalar.self).scalars
            let gradient = operation.pullback(
              Tensor([1, x.shape[1], x.shape[1]], slope[sample * size..<(sample + 1) * size].map { $0 }), application)
            #expect(
              application.output.scalars.elementsEqual(
                together.0.value.scalars[sample * size..<(sample + 1) * size]))
            #expect(
              operation.forward([one]).scalars.elementsEqual(
                together.1.scalars[sample * size..<(sample + 1) * size]))
            #expect(
              gradient[0]?.scalars.elementsEqual(together.0.gradient.scalars[sample * count..<(sample + 1) * count])
                == true)
          }
        }
      }
    }
    for shape: Shape in [[4, 70, 49], [4, 160, 140], [3, 20, 7]] {
      check(features(shape))
      check(single(features(shape)))
    }
  }
}

@Suite struct GramFormToleranceTests {
  /// Full rank and rank deficient.
  private static let samples = [
    CovariancePoolingTests.features(singularValues: [3, 2, 1], channels: 6, positions: 9),
    CovariancePoolingTests.features(singularValues: [3, 2.5, 2, 1.5, 0.8], channels: 9, positions: 7),
    features([1, 24, 9]), features([1, 40, 30]),
  ]

  @Test(arguments: NewtonSchulz.Scaling.allCases)
  private func `As many iterations reach the tolerance as in the direct form`(_ scaling: NewtonSchulz.Scaling) throws {
    for x in Self.samples {
      let sigma = Covariance().applied(to: x)
      for tolerance in [0.3, 1e-1, 1e-2, 1e-3, 1e-6, 1e-9] {
        let gram = try checkingNumerics { results(root(.gram, scaling, tolerance), x) }
        let direct = try checkingNumerics { results(root(.direct, scaling, tolerance), x) }
        // One iteration more or less would differ by about the tolerance.
        #expect(relativeError(gram.value, direct.value) <= 1e-12)
        #expect(relativeError(gram.gradient, direct.gradient) <= 1e-11)
        let residual = squareRootResiduals(gram.value, of: sigma)[0]
        #expect(residual <= tolerance * 1.001 && residual > 0)
      }
    }
  }

  @Test func `In single precision as well, as far as it goes`() throws {
    for x in Self.samples.map(single) {
      for tolerance in [1e-1, 1e-3, 1e-5] {
        let found = try checkingNumerics { root(.gram, .trace, tolerance).applied(to: x) }
        let want = root(.direct, .trace, tolerance).applied(to: double(x))
        #expect(relativeError(found, want) <= 1e-5)
        #expect(squareRootResiduals(double(found), of: Covariance().applied(to: double(x)))[0] <= 1.1 * tolerance)
      }
    }
  }

  @Test func `A tolerance that is not reached is an error that names the sample, and NaN`() throws {
    let one = Self.samples[0].scalars
    let x = Tensor<Double>([3, 6, 9], [Double](repeating: 2, count: 54) + one + [Double](repeating: 1, count: 54))
    let operation = CovarianceRoot(root: NewtonSchulz(iterations: 3, tolerance: 1e-6, form: .gram))
    let failure = #expect(throws: NumericalFailure.self) { try checkingNumerics { operation.applied(to: x) } }
    #expect(failure?.sample == 1 && failure?.operation == "NewtonSchulz")
    #expect(
      failure?.reason.contains("no square root to a relative residual of 1e-06 after 3 iterations; found 0.") == true)
    let found = results(operation, x)
    for (sample, isFailure) in [false, true, false].enumerated() {
      let (value, gradient) = (
        found.value.scalars[sample * 36..<(sample + 1) * 36], found.gradient.scalars[sample * 54..<(sample + 1) * 54]
      )
      for number in [Double](value) + gradient { #expect(isFailure ? number.isNaN : number == 0) }
    }
  }

  private func root(_ form: NewtonSchulz.Form, _ scaling: NewtonSchulz.Scaling, _ tolerance: Double) -> CovarianceRoot {
    CovarianceRoot(root: NewtonSchulz(scaling: scaling, tolerance: tolerance, form: form))
  }
}

@Suite struct GramFormRangeTests {
  @Test(arguments: NewtonSchulz.Scaling.allCases)
  private func `Constant features have no root and no gradient, and what is not finite stays with its sample`(
    _ scaling: NewtonSchulz.Scaling
  ) throws {
    func check<Scalar: RealScalar>(as _: Scalar.Type) throws {
      for iterations in [1, 5, 12] {
        let operation = root(.gram, iterations, scaling)
        for constant in [Scalar(0), 0.7, 1e7] {
          let found = try checkingNumerics { results(operation, Tensor<Scalar>([2, 6, 5], repeating: constant)) }
          #expect(found.value.scalars.allSatisfy { $0 == 0 } && found.gradient.scalars.allSatisfy { $0 == 0 })
        }
        let one = features([1, 6, 5]).scalars.map { Scalar($0) }
        for wrong in [Scalar.nan, .infinity] {
          var x = one + one
          x[7] = wrong
          let found = results(operation, Tensor<Scalar>([2, 6, 5], x))
          for (scalars, count) in [(found.value.scalars, 36), (found.gradient.scalars, 30)] {
            #expect(scalars.prefix(count).allSatisfy { $0.isNaN })
            #expect(scalars.suffix(count).allSatisfy { $0.isFinite })
          }
        }
      }
    }
    try check(as: Float.self)
    try check(as: Double.self)
  }
}
