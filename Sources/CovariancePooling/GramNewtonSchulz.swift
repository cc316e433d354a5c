import Kernels
import Tensors

/// `NewtonSchulz` of the covariance of features `[B, d, …]` with N positions, by products of N × N matrices; result
/// `[B, d, d]`.
///
/// With X̃ the features without their means, τ the scaling's factor for Σ = X̃X̃ᵀ/N, and B = X̃/√(Nτ), the iteration works
/// on A = Σ/τ = BBᵀ; its result √τ Yₙ is √τ A Zₙ(A), where Zₙ is a polynomial. As p(BBᵀ) B = B p(BᵀB) for each polynomial
/// p, that is
///
///     S = √τ B W Bᵀ,  W = Zₙ(K),  K = BᵀB = X̃ᵀX̃/(Nτ),
///
/// and Zₙ(K) is what the iteration gives for K. The factor is known without Σ: its trace is ‖X̃‖²/N, and X̃X̃ᵀ and X̃ᵀX̃ have
/// the same Frobenius norm. So is the residual: ‖S² − Σ‖ = τ ‖(KW)² − K‖ and ‖Σ‖ = τ ‖K‖.
///
/// Features are taken over a power of two, as in `CovarianceRoot`. Constant features give 0, and a gradient of 0.
struct GramNewtonSchulz: TensorOperation {
  let options: NewtonSchulz

  var name: String { options.name }

  func outputShape(_ inputs: [Shape]) -> Shape { Covariance().outputShape(inputs) }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let failures = FailureLog()
    forEachSample(inputs[0].shape) { (sample, one: Sample<Scalar>) in
      _ = one.squareRoot(
        inputs[0].pointer + sample * one.featureCount, into: result.baseAddress! + sample * one.d * one.d, keeping: nil
      ) { options.note($0, sample: sample, failures) }
    }
    failures.report()
  }

  func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (shape, failures) = (inputs[0].shape, FailureLog())
    let (batch, kept) = (shape[0], Sample<Scalar>(options, shape, over: nil).iteration.keptCount)
    // Pages of iterations that are never made are never touched.
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let records = Tensor<Double>(shape: [batch, 3], storage: TensorStorage(count: 3 * batch))
    let output = Tensor<Scalar>(outputShape([shape])) { result in
      let (iterates, records) = (
        UnsafeMutablePointer(mutating: saved.pointer), UnsafeMutablePointer(mutating: records.pointer)
      )
      forEachSample(shape) { (sample, one: Sample<Scalar>) in
        let record = one.squareRoot(
          inputs[0].pointer + sample * one.featureCount, into: result.baseAddress! + sample * one.d * one.d,
          keeping: iterates + sample * kept
        ) { options.note($0, sample: sample, failures) }
        record.store(in: records + 3 * sample)
      }
    }
    failures.report()
    var application = Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
    application.savedInDouble = [records]
    return application
  }

  var pullbackNeeds: PullbackNeeds { .inputs }

  /// With G the symmetric part of the gradient, H = GB, R = BᵀH, and ∂K the pullback of K ↦ Zₙ(K) for R, walked backwards
  /// over the iterates that `apply` kept:
  ///
  ///     ∂X = 2/√N · (H W + B (∂K − (½ ⟨R, W⟩ + ⟨∂K, K⟩) T)),
  ///
  /// where T is I for the trace and K for the Frobenius norm. For S = X̃WX̃ᵀ/(N√τ), so that ⟨G, dS⟩ has four parts: both X̃
  /// vary, in 2/√N ⟨HW, dX̃⟩; W does, in √τ ⟨R, dW⟩ = √τ ⟨∂K, dK⟩, where X̃ᵀX̃ varies in K, in 2/√N ⟨B ∂K, dX̃⟩, and τ, in
  /// −⟨∂K, K⟩ dτ/√τ; and √τ does in front, in −½ ⟨G, S⟩ dτ/τ = −½ ⟨R, W⟩ dτ/√τ. And dτ/√τ = 2/√N ⟨BT, dX̃⟩.
  ///
  /// Means need not be removed from it: the rows of B sum to 0, and so do those of R and ∂K. The features' scale cancels,
  /// since S is homogeneous.
  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (features, saved) = (application.inputs[0], application.saved[0])
    let records = application.savedInDouble[0].pointer
    return [
      Tensor(features.shape) { result in
        forEachSample(features.shape) { (sample, one: Sample<Scalar>) in
          one.gradient(
            gradient.pointer + sample * one.d * one.d, features.pointer + sample * one.featureCount,
            into: result.baseAddress! + sample * one.featureCount, kept: saved.pointer + sample * saved.shape[1],
            Record(in: records + 3 * sample))
        }
      }
    ]
  }

  private func forEachSample<Scalar: RealScalar>(
    _ shape: Shape, _ body: (_ sample: Int, _ one: Sample<Scalar>) -> Void
  ) {
    CovariancePooling.forEachSample(shape[0]) { (sample, pool) in body(sample, Sample(options, shape, over: pool)) }
  }
}

/// What the pullback has to know of a sample beside its iterates.
private struct Record {
  /// Of the iterations; 0 where there is no root.
  var count = 0
  /// The power of two that features are divided by.
  var scale = 1.0
  /// τ of the features that are.
  var factor = 0.0

  /// Zeros, where the covariance is 0.
  static let zero = Record()

  init(count: Int = 0, scale: Double = 1, factor: Double = 0) {
    (self.count, self.scale, self.factor) = (count, scale, factor)
  }

  init(in memory: UnsafePointer<Double>) { self.init(count: Int(memory[0]), scale: memory[1], factor: memory[2]) }

  func store(in memory: UnsafeMutablePointer<Double>) {
    (memory[0], memory[1], memory[2]) = (Double(count), scale, factor)
  }
}

/// The work on one sample.
private struct Sample<Scalar: RealScalar> {
  let d: Int, positions: Int
  let scaling: NewtonSchulz.Scaling
  let iteration: NewtonSchulzIteration<Scalar>
  /// Of d × d matrices.
  private let channelProducts: SymmetricProducts<Scalar>

  init(_ options: NewtonSchulz, _ shape: Shape, over pool: WorkerPool?) {
    (d, positions, scaling) = (shape[1], shape.dropFirst(2).reduce(1, *), options.scaling)
    iteration = NewtonSchulzIteration(
      options, .inverseRoot, SymmetricProducts(size: positions, over: pool, isExact: options.isLong))
    channelProducts = SymmetricProducts(size: d, over: pool, isExact: options.isLong)
  }

  var featureCount: Int { d * positions }
  private var products: SymmetricProducts<Scalar> { iteration.products }
  /// Scalars of a stored d × N matrix, and of its transpose.
  private var storedCount: Int { products.scalarCount(rows: d, columns: positions) }

  /// S of the features `x`.
  /// - Parameter kept: where the iterates are to be left; `nil` where there will be no pullback.
  func squareRoot(
    _ x: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, keeping kept: UnsafeMutablePointer<Scalar>?,
    noting unreached: (_ residual: Double) -> Void
  ) -> Record {
    let n = positions
    return withScratch(of: Scalar.self, featureCount + 3 * storedCount) { centered in
      let scale = center(x, into: centered, rows: d, columns: n)
      guard scale != 0 else {
        fill(root, with: 0, count: d * d)
        return .zero
      }
      let features = centered + featureCount
      let (transpose, left) = (features + storedCount, features + 2 * storedCount)
      products.load(centered, rows: d, columns: n, into: features)
      products.loadTranspose(centered, rows: d, columns: n, into: transpose)
      return withScratch(of: Scalar.self, iteration.workCount(keeping: kept != nil)) { work in
        let gram = kept ?? work
        products.multiplyTranspose(
          features, features, depth: d, rows: n, columns: n, into: gram, scale: 1 / Scalar(n), isSymmetric: true)
        let factor =
          switch scaling {
          case .trace: sumOfSquares(centered, count: featureCount) / Double(n)
          case .frobenius: sumOfSquares(gram, count: products.scalarCount).squareRoot()
          }
        // Features are in range after their scaling, unless they are not finite.
        guard factor > 0, factor.isFinite else {
          fill(root, with: .nan, count: d * d)
          return Record(factor: factor)
        }
        scaled(gram, by: Scalar(1 / factor), into: gram, count: products.scalarCount)
        switch iteration.run(in: work, keeping: kept) {
        case .found(let w, let count):
          let gain = Scalar(scale / (Double(n) * factor.squareRoot()))
          products.multiplyTranspose(w, transpose, depth: n, rows: n, columns: d, into: left, scale: gain)
          products.multiplyTransposeToRows(left, transpose, depth: n, columns: d, into: root)
          return Record(count: count, scale: scale, factor: factor)
        case .unreached(let residual):
          unreached(residual)
          fill(root, with: .nan, count: d * d)
          return Record(scale: scale, factor: factor)
        }
      }
    }
  }

  /// ∂X of the features `x`.
  func gradient(
    _ gradient: UnsafePointer<Scalar>, _ x: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>,
    kept: UnsafePointer<Scalar>, _ record: Record
  ) {
    guard record.count > 0 else {
      return fill(result, with: record.factor == 0 ? 0 : .nan, count: featureCount)
    }
    let (n, size, squareCount) = (positions, products.scalarCount, channelProducts.scalarCount)
    let (k, w) = iteration.kept(kept, count: record.count)
    withScratch(of: Scalar.self, featureCount + 2 * squareCount + 4 * storedCount) { rows in
      let (unsymmetric, g) = (rows + featureCount, rows + featureCount + squareCount)
      let features = g + squareCount
      let (transpose, h, hTranspose) = (
        features + storedCount, features + 2 * storedCount, features + 3 * storedCount
      )
      withScratch(of: Scalar.self, 6 * size) { work in
        channelProducts.load(gradient, scale: 0.5, into: unsymmetric)
        channelProducts.combine(0, unsymmetric, 1, unsymmetric, transposed: 1, into: g)
        center(x, into: rows, rows: d, columns: n, scale: record.scale)
        scaled(rows, by: Scalar(1 / (Double(n) * record.factor).squareRoot()), into: rows, count: featureCount)
        products.load(rows, rows: d, columns: n, into: features)
        products.loadTranspose(rows, rows: d, columns: n, into: transpose)
        // With the channels in columns panels are full, and there are more of them to share out.
        products.multiplyTranspose(features, g, depth: d, rows: n, columns: d, into: hTranspose)
        products.unloadTranspose(hTranspose, rows: n, columns: d, into: rows)
        products.load(rows, rows: d, columns: n, into: h)
        products.multiplyTranspose(features, h, depth: d, rows: n, columns: n, into: work, isSymmetric: true)
        let slope = dot(work, w, count: size) / 2
        let dk = iteration.pullback(in: work, kept: kept, count: record.count)
        let factorGradient = Scalar(slope + dot(dk, k, count: size))
        switch scaling {
        case .trace: products.add(-factorGradient, toDiagonalOf: dk)
        case .frobenius: accumulate(k, times: -factorGradient, into: dk, count: size)
        }
        // The transpose of ∂X, where H and B are not needed any more.
        let factor = Scalar(2 / Double(n).squareRoot())
        products.multiplyTranspose(w, hTranspose, depth: n, rows: n, columns: d, into: h)
        products.multiplyTranspose(
          dk, transpose, depth: n, rows: n, columns: d, into: features, scale: factor, adding: factor, h)
        products.unloadTranspose(features, rows: n, columns: d, into: result)
      }
    }
  }
}
