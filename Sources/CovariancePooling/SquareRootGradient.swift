import Kernels
import Tensors

/// An operation whose result is the square root of a covariance, exact or approximate.
public protocol SquareRootOperation: TensorOperation {
  /// Whether the input is the features `[B, d, …]` rather than their covariances `[B, d, d]`.
  var startsFromFeatures: Bool { get }
  /// Whether this value of the type finds square roots, and not another function.
  var isSquareRoot: Bool { get }
}

extension SquareRootOperation {
  public var isSquareRoot: Bool { true }
}

extension NewtonSchulz: SquareRootOperation { public var startsFromFeatures: Bool { false } }
extension MatrixTaylor: SquareRootOperation { public var startsFromFeatures: Bool { false } }
extension MatrixPade: SquareRootOperation { public var startsFromFeatures: Bool { false } }
extension MatrixFunction: SquareRootOperation {
  public var startsFromFeatures: Bool { false }
  public var isSquareRoot: Bool { function == .squareRoot }
}
extension CovarianceFunction: SquareRootOperation {
  public var startsFromFeatures: Bool { true }
  public var isSquareRoot: Bool { function == .squareRoot }
}

extension SquareRootOperation {
  /// The same root with another gradient than its own.
  /// - Precondition: `isSquareRoot`.
  public func differentiated(by gradient: SquareRootGradient) -> any TensorOperation {
    check(isSquareRoot, "\(gradient) is the gradient of a square root, not of \(self)")
    return SubstitutedGradient(forward: self, gradient: gradient)
  }
}

/// Gradients of the matrix square root that do not ask how the root was found.
///
/// All are gradients of the exact root: with an approximate one they are consistent with what it approximates, not with
/// what it computes.
public enum SquareRootGradient: Hashable, Sendable {
  /// From the eigendecomposition of Σ: Kᵢⱼ = 1/(√λᵢ + √λⱼ).
  case dividedDifferences
  /// The solution of the Lyapunov equation S ∂Σ + ∂Σ S = Gₛ from the eigendecomposition of the root S, whichever root
  /// that is: Kᵢⱼ = 1/(sᵢ + sⱼ) (Lin & Maji 2017, §3.2). Where both are 0, ∂Σ is.
  case lyapunov
  /// The same equation by the matrix sign iteration, products only (Song et al. 2022, eq. 14). For full rank: a zero
  /// eigenvalue's terms go astray. Where ‖S ∂Σ + ∂Σ S − Gₛ‖ exceeds `tolerance` · ‖Gₛ‖ after the last iteration the
  /// sample's gradient is NaN, and an error in `checkingNumerics`.
  case iterativeLyapunov(iterations: Int = 8, tolerance: Double = 0.1)
}

/// A square root with the gradient of `SquareRootGradient`.
private struct SubstitutedGradient<Forward: SquareRootOperation>: TensorOperation {
  let forward: Forward
  let gradient: SquareRootGradient

  var name: String { forward.name }

  func outputShape(_ inputs: [Shape]) -> Shape { forward.outputShape(inputs) }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    forward.forward(inputs, into: result)
  }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let input = application.inputs[0]
    switch self.gradient {
    case .dividedDifferences:
      if forward.startsFromFeatures { return ownPullback(CovarianceFunction(), gradient, application) }
      return ownPullback(MatrixFunction(), gradient, application)
    case .lyapunov:
      return featurePullback(lyapunov(gradient, root: application.output), application)
    case .iterativeLyapunov(let iterations, let tolerance):
      let sigma = forward.startsFromFeatures ? Covariance().forward([input]) : input
      return featurePullback(
        iterativeLyapunov(
          gradient, root: application.output, sigma: sigma, iterations: iterations, tolerance: tolerance),
        application)
    }
  }

  private func ownPullback<Scalar>(
    _ operation: some TensorOperation, _ gradient: Tensor<Scalar>, _ application: Application<Scalar>
  ) -> [Tensor<Scalar>?] {
    operation.pullback(
      gradient, operation.apply(application.inputs, needsGradient: application.needsGradient))
  }

  /// From ∂Σ to the gradient with respect to the input.
  private func featurePullback<Scalar>(
    _ sigmaGradient: Tensor<Scalar>, _ application: Application<Scalar>
  ) -> [Tensor<Scalar>?] {
    forward.startsFromFeatures ? Covariance().pullback(sigmaGradient, application) : [sigmaGradient]
  }

  private func lyapunov<Scalar>(_ gradient: Tensor<Scalar>, root: Tensor<Scalar>) -> Tensor<Scalar> {
    let (batch, d, g, s, failures) = (root.shape[0], root.shape[1], gradient.pointer, root.pointer, FailureLog())
    let result = Tensor<Scalar>(root.shape) { result in
      WorkerPool.shared.forEach(batch) { sample in
        let target = result.baseAddress! + sample * d * d
        withScratch(of: Double.self, d * d + d) { matrix in
          let values = matrix + d * d
          Scalar.routines.kernels.toDouble(s + sample * d * d, matrix, d * d)
          do throws(LAPACKError) {
            try SolverCache.decompose(matrix, values: values, size: d, by: .divideAndConquer)
          } catch {
            if error != .notFinite { failures.note(name, sample: sample, "\(error)") }
            return fill(target, with: .nan, count: d * d)
          }
          // The root is only known to its own precision; what is less than that counts as 0.
          let cut = 2 * Double(d).squareRoot() * Double(Scalar.ulpOfOne) * values[d - 1]
          for i in 0..<d where values[i] <= cut { values[i] = 0 }
          withScratch(of: Scalar.self, d * d) { vectors in
            convert(matrix, into: vectors, count: d * d)
            sylvesterGradient(g + sample * d * d, vectors: vectors, size: d, into: target) {
              covpool_root_differences(values, d, $0)
            }
          }
        }
      }
    }
    failures.report()
    return result
  }

  /// With B = S/√c, c = ‖Σ‖_F, and C = Gₛ/√c: C ← ½ (3 C + V + Vᵀ), V = B (½ (BC)ᵀ − BC), and B ← ½ B (3 I − B²); ∂Σ = ½ C. The
  /// published step ½ (C (3 I − B²) − B²C + BCB), with its six products, is the same for symmetric B and C.
  private func iterativeLyapunov<Scalar>(
    _ gradient: Tensor<Scalar>, root: Tensor<Scalar>, sigma: Tensor<Scalar>, iterations: Int, tolerance: Double
  ) -> Tensor<Scalar> {
    let (d, g, s, failures) = (root.shape[1], gradient.pointer, root.pointer, FailureLog())
    let result = Tensor<Scalar>(root.shape) { result in
      forEachSample(root.shape[0], size: d, isExact: iterations > 8) { (sample, products: SymmetricProducts<Scalar>) in
        let (offset, size) = (sample * d * d, products.scalarCount)
        let target = result.baseAddress! + offset
        let norm = sumOfSquares(sigma.pointer + offset, count: d * d).squareRoot()
        guard norm > 0, norm.isFinite else { return fill(target, with: norm == 0 ? 0 : .nan, count: d * d) }
        let unit = Scalar(norm.squareRoot())
        withScratch(of: Scalar.self, 6 * size) { scratch in
          var (b, c, next) = (scratch, scratch + size, scratch + 2 * size)
          let (p, w, symmetric) = (scratch + 3 * size, scratch + 4 * size, scratch + 5 * size)
          products.load(g + offset, scale: 1 / unit, into: p)
          products.combine(0, p, 0.5, p, transposed: 0.5, into: symmetric)
          c.update(from: symmetric, count: size)
          products.load(s + offset, scale: 1 / unit, into: b)
          for _ in 0..<iterations {
            products.multiply(b, c, into: p, isSymmetric: false)
            products.combine(0, p, -1, p, transposed: 0.5, into: w)
            products.multiplySymmetrized(b, w, scale: 0.5, adding: 1.5, c, into: next)
            swap(&c, &next)
            products.multiply(b, b, into: p, scale: -0.5, plusIdentity: 1.5, isSymmetric: true)
            products.multiply(b, p, into: next, isSymmetric: true)
            swap(&b, &next)
          }
          products.unload(c, scale: 0.5, into: target)
          // S ∂Σ + ∂Σ S − Gₛ, all over √c.
          products.load(s + offset, scale: 1, into: b)
          products.multiply(b, c, into: p, scale: 0.5 / unit, isSymmetric: false)
          products.combine(-1, symmetric, 1, p, transposed: 1, into: next)
          let found = sumOfSquares(next, count: size).squareRoot()
          let wanted = sumOfSquares(symmetric, count: size).squareRoot()
          if found > tolerance * wanted || found.isNaN {
            failures.note(
              name, sample: sample,
              "the iterative Lyapunov solution of its gradient has a relative residual of \(found / wanted) after "
                + "\(iterations) iterations, tolerance \(tolerance); it needs a covariance of full rank")
            fill(target, with: .nan, count: d * d)
          }
        }
      }
    }
    failures.report()
    return result
  }
}

/// How far each S is from being a square root of its Σ: ‖S·S − Σ‖ / ‖Σ‖ in Frobenius norms, in double precision; 0 for
/// Σ = S = 0.
///
/// A check of results, whatever operation they come from: an iteration's own residual does not tell.
/// - Parameters:
///   - roots: S, `[B, d, d]`.
///   - covariances: Σ, `[B, d, d]`.
/// - Returns: a number for each sample.
public func squareRootResiduals<Scalar: RealScalar>(
  _ roots: Tensor<Scalar>, of covariances: Tensor<Scalar>
) -> [Double] {
  check(
    roots.shape == covariances.shape && roots.rank == 3 && roots.shape[1] == roots.shape[2],
    "roots \(roots.shape) of covariances \(covariances.shape)")
  let d = roots.shape[1]
  return (0..<roots.shape[0]).map { sample in
    withScratch(of: Double.self, 3 * d * d) { s in
      let (sigma, square) = (s + d * d, s + 2 * d * d)
      Scalar.routines.kernels.toDouble(roots.pointer + sample * d * d, s, d * d)
      Scalar.routines.kernels.toDouble(covariances.pointer + sample * d * d, sigma, d * d)
      multiply(MatrixView(s, rows: d, columns: d), MatrixView(s, rows: d, columns: d), into: square)
      accumulate(sigma, times: -1, into: square, count: d * d)
      let difference = sumOfSquares(square, count: d * d).squareRoot()
      return difference == 0 ? 0 : difference / sumOfSquares(sigma, count: d * d).squareRoot()
    }
  }
}
