import Foundation
import CovariancePooling
import TestSupport
import Testing

private func features(_ shape: Shape, _ name: String = "f") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

@Suite struct CovarianceTests {
  @Test func `A covariance by hand`() {
    // Channel 1: 1, 3 around 2; channel 2: 0, 4 around 2. N = 2 divides.
    let x = Tensor<Double>([1, 2, 1, 2], [1, 3, 0, 4])
    #expect(Covariance().applied(to: x).scalars == [1, 2, 2, 4])
    #expect(UpperTriangle().applied(to: Covariance().applied(to: x)).scalars == [1, 2, 4])
  }

  @Test func `Sequences pool like maps`() {
    let map = features([2, 5, 3, 4])
    #expect(
      Covariance().applied(to: map.reshaped(to: [2, 5, 12])).scalars == Covariance().applied(to: map).scalars)
  }

  @Test func `Permuted channels permute rows and columns`() {
    let (x, order) = (features([1, 4, 2, 5]), [2, 0, 3, 1])
    let permuted = Tensor<Double>([1, 4, 2, 5], order.flatMap { x.scalars[$0 * 10..<($0 + 1) * 10] })
    let (a, b) = (Covariance().applied(to: x), Covariance().applied(to: permuted))
    for i in 0..<4 {
      for j in 0..<4 { #expect(abs(b[0, i, j] - a[0, order[i], order[j]]) < 1e-15) }
    }
  }

  @Test func `Constant features have no covariance, and no normalisation makes one`() {
    let shape: Shape = [2, 8, 3, 3]
    let values = (0..<2 * 8).flatMap { [Float](repeating: Float($0) * 1.7 + 0.1, count: 9) }
    let x = Tensor<Float>(shape, values)
    let zero = [Float](repeating: 0, count: 2 * 64)
    let covariance = Covariance().applied(to: x)
    #expect(covariance.scalars == zero)
    #expect(NewtonSchulz().applied(to: covariance).scalars == zero)
    #expect(MatrixFunction().applied(to: covariance).scalars == zero)
    #expect(CovarianceFunction().applied(to: x).scalars == zero)
  }
}

@Suite struct SquareRootTests {
  /// S·S = Σ to rounding.
  private func squared(_ s: Tensor<Double>, _ sample: Int) -> [Double] {
    let d = s.shape[1]
    return (0..<d * d).map { index in
      (0..<d).reduce(0) { $0 + s[sample, index / d, $1] * s[sample, $1, index % d] }
    }
  }

  @Test(arguments: [(8, 30), (20, 6)])
  private func `The square of the exact root is the covariance, full rank or not`(_ d: Int, _ positions: Int) {
    let x = features([2, d, positions])
    let sigma = Covariance().applied(to: x)
    for root in [CovarianceFunction().applied(to: x), MatrixFunction().applied(to: sigma)] {
      for sample in 0..<2 {
        let want = Array(sigma.scalars[sample * d * d..<(sample + 1) * d * d])
        #expect(largestError(squared(root, sample), want) < 1e-13)
      }
    }
  }

  @Test func `Powers of a diagonal matrix are powers of its entries`() {
    let sigma = Tensor<Double>([1, 3, 3], [4, 0, 0, 0, 9, 0, 0, 0, 0])
    #expect(largestError(MatrixFunction(.power(0.5)).applied(to: sigma).scalars, [2, 0, 0, 0, 3, 0, 0, 0, 0]) < 1e-14)
    #expect(largestError(MatrixFunction(.power(2)).applied(to: sigma).scalars, [16, 0, 0, 0, 81, 0, 0, 0, 0]) < 1e-12)
  }

  @Test func `Newton–Schulz converges to the exact root, as fast as published`() {
    // λᵢ = 10^(−3 i / 255), trace scaling.
    let d = 256
    var sigma = [Double](repeating: 0, count: d * d)
    for i in 0..<d { sigma[i * d + i] = pow(10, -3 * Double(i) / 255) }
    let norm = (0..<d).reduce(0) { $0 + sigma[$1 * d + $1] }.squareRoot()
    for (iterations, want) in [(5, 0.38), (7, 0.17), (10, 0.044), (15, 6.4e-5)] {
      let root = NewtonSchulz(iterations: iterations).applied(to: Tensor<Double>([1, d, d], sigma)).scalars
      let error = (0..<d * d).reduce(0) { sum, i in
        let difference = root[i] - sigma[i].squareRoot()
        return sum + difference * difference
      }.squareRoot()
      #expect(abs(error / norm - want) < 0.02 * want + 0.004 * want)
    }
  }

  @Test(arguments: 1...8, [NewtonSchulz.Scaling.trace, .frobenius])
  func `The root alone is the root that a gradient is taken of`(_ iterations: Int, _ scaling: NewtonSchulz.Scaling) {
    let operation = NewtonSchulz(iterations: iterations, scaling: scaling)
    // More positions than channels, and fewer: then most eigenvalues are 0.
    for shape in [[2, 6, 40], [3, 40, 9]] as [Shape] {
      let sigma = Covariance().applied(to: features(shape))
      let stepByStep = operation.apply([sigma], needsGradient: [true]).output
      #expect(largestError(operation.applied(to: sigma).scalars, stepByStep.scalars) < 1e-14)
      let single = operation.applied(to: Tensor<Float>(sigma.shape, sigma.scalars.map { Float($0) }))
      #expect(largestError(single.scalars, stepByStep.scalars) < 2e-6)
    }
  }

  @Test func `Frobenius scaling finds the same root`() {
    let sigma = Covariance().applied(to: features([1, 6, 40]))
    let trace = NewtonSchulz(iterations: 25).applied(to: sigma).scalars
    let frobenius = NewtonSchulz(iterations: 25, scaling: .frobenius).applied(to: sigma).scalars
    #expect(largestError(trace, frobenius) < 1e-12)
    #expect(largestError(trace, MatrixFunction().applied(to: sigma).scalars) < 1e-12)
  }

  @Test func `A scaled covariance has a scaled root, tiny or huge`() {
    let x = features([1, 12, 5, 5])
    let root = NewtonSchulz().applied(to: Covariance().applied(to: Tensor<Float>(x.shape, x.scalars.map { Float($0) })))
    for factor in [Float(1e-12), 1e12] {
      let scaled = Tensor<Float>(x.shape, x.scalars.map { Float($0) * factor })
      let other = NewtonSchulz().applied(to: Covariance().applied(to: scaled))
      #expect(largestError(other.scalars.map { $0 / factor }, root.scalars.map(Double.init)) < 1e-6)
    }
  }

  @Test func `What is not finite stays visible`() {
    let x = Tensor<Float>([1, 3, 4], [1, 2, .nan, 4, 5, 6, 7, 8, 1, 2, 3, 4])
    #expect(NewtonSchulz().applied(to: Covariance().applied(to: x)).scalars.contains { $0.isNaN })
    #expect(CovarianceFunction().applied(to: x).scalars.allSatisfy { $0.isNaN })
  }

  @Test func `Results do not depend on the number of threads or the batch`() {
    let x = Tensor<Float>([3, 40, 5, 5], unit("f", count: 3 * 40 * 25))
    let together = NewtonSchulz().applied(to: Covariance().applied(to: x)).scalars
    for sample in 0..<3 {
      let one = Tensor<Float>([1, 40, 5, 5], x.scalars[sample * 1000..<(sample + 1) * 1000])
      let alone = NewtonSchulz().applied(to: Covariance().applied(to: one)).scalars
      #expect(largestError(alone, together[sample * 1600..<(sample + 1) * 1600].map(Double.init)) < 1e-7)
    }
  }
}
