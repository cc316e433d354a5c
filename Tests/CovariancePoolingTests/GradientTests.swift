import CovariancePooling
import TestSupport
import Testing

private func features(_ shape: Shape, _ name: String = "features") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

/// Symmetric [B, d, d] with these eigenvalues and fixed random eigenvectors.
private func matrix(eigenvalues: [Double]) -> Tensor<Double> {
  let d = eigenvalues.count
  // Gram–Schmidt of a random matrix.
  var rows = (0..<d).map { unit("eigenvector \($0)", count: d).map(Double.init) }
  for i in 0..<d {
    for j in 0..<i {
      let product = zip(rows[i], rows[j]).reduce(0) { $0 + $1.0 * $1.1 }
      rows[i] = zip(rows[i], rows[j]).map { $0 - product * $1 }
    }
    let norm = rows[i].reduce(0) { $0 + $1 * $1 }.squareRoot()
    rows[i] = rows[i].map { $0 / norm }
  }
  var scalars = [Double](repeating: 0, count: d * d)
  for (value, row) in zip(eigenvalues, rows) {
    for i in 0..<d { for j in 0..<d { scalars[i * d + j] += value * row[i] * row[j] } }
  }
  return Tensor([1, d, d], scalars)
}

@Suite struct CovarianceGradientTests {
  @Test func `Covariance and upper triangle`() {
    #expect(gradientError(at: [features([2, 4, 3, 3])]) { probe(Covariance().applied(to: $0)) } < 1e-7)
    #expect(gradientError(at: [features([2, 4, 5])]) { probe(Covariance().applied(to: $0)) } < 1e-7)
    #expect(gradientError(at: [features([2, 4, 4])]) { probe(UpperTriangle().applied(to: $0)) } < 1e-7)
  }

  @Test(arguments: [1, 2, 3, 5, 8], [NewtonSchulz.Scaling.trace, .frobenius])
  func `Newton–Schulz`(_ iterations: Int, _ scaling: NewtonSchulz.Scaling) {
    // From features, so that the matrix stays symmetric when it is moved; the last case is rank deficient.
    for shape: Shape in [[2, 4, 3, 3], [3, 5, 4, 4], [1, 6, 2, 2]] {
      let error = gradientError(at: [features(shape)]) {
        probe(NewtonSchulz(iterations: iterations, scaling: scaling).applied(to: Covariance().applied(to: $0)))
      }
      #expect(error < 1e-6)
    }
  }

  @Test(arguments: [0.5, 0.25, 1, 1.5])
  func `Exact power from features: full rank, few positions, one channel`(_ exponent: Double) {
    // N = 4 < 6 is decomposed through the Gram matrix.
    for shape: Shape in [[2, 4, 3, 5], [2, 6, 2, 2], [1, 5, 5, 1], [1, 1, 3, 3]] {
      #expect(
        gradientError(at: [features(shape)]) { probe(CovarianceFunction(.power(exponent)).applied(to: $0)) } < 1e-6)
    }
  }

  @Test func `Both roads to the exact power have the same gradient`() {
    for shape: Shape in [[2, 4, 3, 5], [2, 6, 2, 2]] {
      let direct = valueWithGradients(at: [features(shape)]) {
        probe(CovarianceFunction(.power(0.5)).applied(to: $0))
      }
      let composed = valueWithGradients(at: [features(shape)]) {
        probe(MatrixFunction(.power(0.5)).applied(to: Covariance().applied(to: $0)))
      }
      let scale = direct.gradients[0].scalars.map(abs).max() ?? 0
      #expect(largestError(composed.gradients[0].scalars, direct.gradients[0].scalars) < 1e-6 * scale)
      #expect(scale > 1e-3)
    }
  }

  @Test(
    arguments: [
      [1, 2, 3, 4], [2, 2, 2, 2], [1, 1, 1, 5], [1e-3, 1e-3, 1, 1], [3, 3 + 1e-13, 3 + 2e-13, 7],
    ] as [[Double]])
  func `Exact power of matrices, with equal eigenvalues among them`(_ eigenvalues: [Double]) {
    for exponent in [0.5, 0.3] {
      // Moved symmetrically, because the power is one of symmetric matrices.
      let error = gradientError(at: [Tensor([1, 4, 4], repeating: 0)]) { moved in
        let base = matrix(eigenvalues: eigenvalues)
        return probe(MatrixFunction(.power(exponent)).applied(to: base + SymmetricPart().applied(to: moved[0])))
      }
      #expect(error < 1e-5)
    }
  }

  @Test func `Zero and constant features have zero gradients, in both precisions`() {
    for constant in [0, 0.7] {
      for head in [AnyHead.power, .newtonSchulz] {
        let double = valueWithGradients(at: [Tensor<Double>([2, 5, 3, 3], repeating: constant)]) { probe(head($0[0])) }
        #expect(double.gradients[0].scalars.allSatisfy { $0 == 0 } && double.value.scalars == [0])
        let single = valueWithGradients(at: [Tensor<Float>([2, 5, 3, 3], repeating: Float(constant))]) {
          probe(head($0[0]))
        }
        #expect(single.gradients[0].scalars.allSatisfy { $0 == 0 } && single.value.scalars == [0])
      }
    }
  }

  @Test func `One sample's gradient does not depend on the others`() {
    let (both, one) = (features([2, 6, 3, 3]), features([1, 6, 3, 3]))
    func gradient(_ x: Tensor<Double>) -> [Double] {
      valueWithGradients(at: [x]) { x in
        let sums = UpperTriangle().applied(to: NewtonSchulz().applied(to: Covariance().applied(to: x)))
        let weight = Tensor<Double>([1, 21], unit("w", count: 21).map(Double.init))
        let rows = LinearMap().applied(to: sums, weight, Tensor([1], repeating: 0))
        return LinearMap().applied(
          to: rows.reshaped(to: [1, rows.scalarCount]), Tensor([1, rows.scalarCount], repeating: 1),
          Tensor([1], repeating: 0))
      }.gradients[0].scalars
    }
    #expect(largestError(Array(gradient(both)[..<54]), gradient(one)) < 1e-12)
  }
}

private enum AnyHead {
  case power, newtonSchulz

  func callAsFunction<Scalar>(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    switch self {
    case .power: CovarianceFunction().applied(to: x)
    case .newtonSchulz: NewtonSchulz().applied(to: Covariance().applied(to: x))
    }
  }
}

/// An operation from outside of the package: ½ (x + xᵀ).
private struct SymmetricPart: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape { inputs[0] }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (x, d) = (inputs[0].scalars, inputs[0].shape[1])
    for i in 0..<d { for j in 0..<d { result[i * d + j] = 0.5 * (x[i * d + j] + x[j * d + i]) } }
  }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [forward([gradient])]
  }
}
