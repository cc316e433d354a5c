import Foundation
import Kernels

/// An exact function of the covariance of the channels, straight from the features: MPN's square root, any power, the
/// logarithm.
///
/// Input `[B, d, …]` with N positions, result `[B, d, d]`. Eigenvalues of at most max(d, N) ε λ₁, ε that of double
/// precision, count as 0 whatever the road: 2·10⁻⁷ of the largest singular value of the features at N = 256. Of N positions
/// no more than N − 1 eigenvalues are not 0, since means are removed. Features that are not finite give NaN; so do a
/// decomposition that does not converge and a function out of range, which `checkingNumerics` makes errors. Constant
/// features give 0, and a gradient of 0; others never do, however small: powers of two are taken out.
public struct CovarianceFunction: TensorOperation, Hashable {
  /// How the eigenvalues of Σ and their vectors are found.
  public enum Road: String, CaseIterable, Hashable, Sendable, Codable {
    /// `gram` where there are fewer positions than channels, by a sixteenth at least, and `full` otherwise: the less work.
    case automatic
    /// Σ is decomposed, d × d, in double precision.
    case full
    /// The Gram matrix X̃ᵀX̃/N = V Λ Vᵀ is decomposed, N × N, in double precision: it has the same eigenvalues that are not
    /// 0, and U = X̃ V (N Λ)^(−½). At 224 px N is 196, less than d = 256, and Σ is always singular: the null space is left
    /// out exactly. With more positions than LAPACK can decompose it is `full`.
    case gram
    /// X̃ itself is decomposed, in the features' precision: λ = σ²/N. Nothing is squared, so that single precision is
    /// enough: σ is known to a few ε of the largest, and what is less counts as 0.
    case svd
  }

  /// f.
  public var function: SpectralFunction
  /// What is decomposed.
  public var road: Road
  /// How the roads `full` and `gram` decompose.
  public var algorithm: EigenAlgorithm

  /// The covariance's square root, or another function of it.
  /// - Precondition: an exponent or a shift is positive.
  public init(
    _ function: SpectralFunction = .squareRoot, road: Road = .automatic,
    by algorithm: EigenAlgorithm = .divideAndConquer
  ) {
    function.validate()
    (self.function, self.road, self.algorithm) = (function, road, algorithm)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape { Covariance().outputShape(inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let sizes = Sizes(inputs[0].shape)
    decompose(inputs[0], into: result.baseAddress!) { _, body in
      withScratch(of: Double.self, sizes.rank) { values in
        withScratch(of: Scalar.self, sizes.rank * sizes.d) { vectors in
          _ = body(EigenSpectrum(size: sizes.d, vectors: vectors, values: values, capacity: sizes.rank), nil)
        }
      }
    }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, sizes) = (inputs[0].shape[0], Sizes(inputs[0].shape))
    let saved = [sizes.d, sizes.positions].map { width in
      Tensor<Scalar>(
        shape: [batch, sizes.rank, width], storage: TensorStorage(count: batch * sizes.rank * width))
    }
    let values = Tensor<Double>(shape: [batch, sizes.rank], storage: TensorStorage(count: batch * sizes.rank))
    let scales = Tensor<Double>(shape: [batch], storage: TensorStorage(count: batch))
    let output = Tensor<Scalar>(outputShape(inputs.map(\.shape))) { result in
      decompose(inputs[0], into: result.baseAddress!) { sample, body in
        let (spectrum, projections) = Self.spectrum(sample, saved, values, sizes)
        UnsafeMutablePointer(mutating: scales.pointer)[sample] = body(spectrum, projections)
      }
    }
    var application = Application(inputs: inputs, output: output, saved: saved, needsGradient: needsGradient)
    application.savedInDouble = [values, scales]
    return application
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// With the eigenvectors U (in rows) whose eigenvalues are not 0, C = U X̃, W = U Gₛ, M = W Uᵀ, the divided differences K
  /// of f and those from 0 in D: ∂X = 2/N · (D W + (K ∘ M − D M) U)ᵀ C.
  ///
  /// That is the derivative by divided differences on the whole space; its terms between an eigenvalue and 0 are in D, so
  /// the null space is never built. ∂X has mean 0 in each channel because C has. The logarithm's shift moves with the
  /// trace: (s / d) tr ∂Σ is added to ∂Σ's diagonal, of which U's part reaches X.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, sizes) = (application.inputs[0].shape, Sizes(application.inputs[0].shape))
    let (g, saved, values) = (gradient.pointer, application.saved, application.savedInDouble[0])
    let scales = application.savedInDouble[1].pointer
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        WorkerPool.shared.forEach(shape[0]) { sample in
          var (spectrum, projections) = Self.spectrum(sample, saved, values, sizes)
          spectrum.scale = scales[sample]
          featureGradient(
            g + sample * sizes.d * sizes.d, spectrum, projections, sizes,
            into: target + sample * sizes.d * sizes.positions)
        }
      }
    ]
  }

  private func featureGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ spectrum: EigenSpectrum<Scalar>, _ projections: UnsafePointer<Scalar>,
    _ sizes: Sizes, into result: UnsafeMutablePointer<Scalar>
  ) {
    let (d, rank, positions) = (sizes.d, spectrum.rank, sizes.positions)
    guard rank > 0 else { return fill(result, with: 0, count: d * positions) }
    let u = MatrixView(spectrum.vectors, rows: rank, columns: d)
    let f = function.evaluated(meanEigenvalue: spectrum.meanEigenvalue)
    withScratch(of: Double.self, rank * rank) { k in
      withScratch(of: Scalar.self, d * d + 2 * d * rank + rank * rank + rank) { g in
        let (w, left, m) = (g + d * d, g + d * d + d * rank, g + d * d + 2 * d * rank)
        let slopes = m + rank * rank
        Scalar.routines.kernels.combine(0.5, gradient, 0, gradient, 0.5, g, d)
        multiply(u, MatrixView(g, rows: d, columns: d), into: w)
        multiply(MatrixView(w, rows: rank, columns: d), u.transposed, into: m)
        f.dividedDifferences(spectrum.values, count: rank, into: k)
        var shiftSlope = 0.0
        if case .logarithm(let shift) = function {
          var inside = 0.0, sum = 0.0
          for i in 0..<rank {
            inside += Double(m[i * (rank + 1)])
            sum += Double(m[i * (rank + 1)]) * k[i * (rank + 1)]
          }
          sum += (Double(trace(g, size: d)) - inside) * f.dividedDifference(0, 0)
          shiftSlope = shift / Double(d) * sum
        }
        for i in 0..<rank {
          let slope = f.dividedDifference(spectrum.values[i], 0)
          slopes[i] = Scalar(slope)
          for j in 0..<rank { k[i * rank + j] -= slope }
        }
        Scalar.routines.kernels.multiplyByDouble(k, m, rank * rank)
        if shiftSlope != 0 { for i in 0..<rank { m[i * (rank + 1)] += Scalar(shiftSlope) } }
        multiplyRows(w, by: slopes, into: left, rows: rank, columns: d)
        multiply(MatrixView(m, rows: rank, columns: rank), u, into: left, keeping: 1)
        multiply(
          MatrixView(left, rows: rank, columns: d).transposed,
          MatrixView(projections, rows: rank, columns: positions), into: result,
          scale: Scalar(2 / Double(positions) * function.effect(ofScale: spectrum.scale).gain / spectrum.scale))
      }
    }
  }

  private static func spectrum<Scalar>(
    _ sample: Int, _ saved: [Tensor<Scalar>], _ values: Tensor<Double>, _ sizes: Sizes
  ) -> (EigenSpectrum<Scalar>, projections: UnsafeMutablePointer<Scalar>) {
    let (d, rank, positions) = (sizes.d, sizes.rank, sizes.positions)
    return (
      EigenSpectrum(
        size: d, vectors: UnsafeMutablePointer(mutating: saved[0].pointer) + sample * rank * d,
        values: UnsafeMutablePointer(mutating: values.pointer) + sample * rank, capacity: rank),
      UnsafeMutablePointer(mutating: saved[1].pointer) + sample * rank * positions
    )
  }

  /// Decomposes each sample into the spectrum and the projections C, if any, that `withSpectrum` lends for it; its body
  /// returns the spectrum's scale.
  private func decompose<Scalar: RealScalar>(
    _ input: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>,
    withSpectrum:
      (_ sample: Int, _ body: (EigenSpectrum<Scalar>, _ projections: UnsafeMutablePointer<Scalar>?) -> Double) -> Void
  ) {
    let (sizes, x) = (Sizes(input.shape), input.pointer)
    let failures = FailureLog()
    let road = resolvedRoad(sizes)
    WorkerPool.shared.forEach(input.shape[0]) { sample in
      withSpectrum(sample) { spectrum, projections in
        let (features, output) = (x + sample * sizes.d * sizes.positions, result + sample * sizes.d * sizes.d)
        var spectrum = spectrum
        do throws(LAPACKError) {
          switch road {
          case .full, .automatic: spectrum.scale = try full(features, sizes, into: spectrum, projections)
          case .gram: spectrum.scale = try gram(features, sizes, into: spectrum, projections)
          case .svd: spectrum.scale = try svd(features, sizes, into: spectrum, projections)
          }
          if !spectrum.compose(function, into: output) {
            failures.note(name, sample: sample, "\(function) of an eigenvalue is out of range")
          }
        } catch {
          if error != .notFinite { failures.note(name, sample: sample, "\(error)") }
          spectrum.fillWithNaN()
          fill(output, with: .nan, count: sizes.d * sizes.d)
        }
        return spectrum.scale
      }
    }
    failures.report()
  }

  private func resolvedRoad(_ sizes: Sizes) -> Road {
    switch road {
    // The Gram matrix's vectors are multiplied with the features: with nearly as many positions that is not worth it.
    case .automatic: 16 * sizes.positions <= 15 * sizes.d ? .gram : .full
    case .gram: sizes.positions <= SymmetricEigensolver<Double>.maximumSize ? .gram : .full
    case .full, .svd: road
    }
  }

  private func full<Scalar: RealScalar>(
    _ x: UnsafePointer<Scalar>, _ sizes: Sizes, into spectrum: EigenSpectrum<Scalar>,
    _ projections: UnsafeMutablePointer<Scalar>?
  ) throws(LAPACKError) -> Double {
    return try withScratch(of: Double.self, sizes.d * (sizes.positions + sizes.d + 1)) {
      (scratch) throws(LAPACKError) in
      let (matrix, values) = (scratch + sizes.featureCount, scratch + sizes.featureCount + sizes.d * sizes.d)
      let features = MatrixView(scratch, rows: sizes.d, columns: sizes.positions)
      let scale = center(x, into: scratch, rows: sizes.d, columns: sizes.positions)
      guard scale != 0 else { return spectrum.fillWithZeros() }
      multiplyByTranspose(features, into: matrix, scale: 1 / Double(sizes.positions))
      try SolverCache.decompose(matrix, values: values, size: sizes.d, by: algorithm)
      let cut = SpectralFunction.cut(largest: values[sizes.d - 1], size: sizes.longer)
      // With few positions as many of the vectors belong to eigenvalues that are rounding.
      let first = sizes.d - sizes.rank
      spectrum.keep(values + first, above: cut, vectors: matrix + first * sizes.d, count: sizes.rank)
      guard let projections else { return scale }
      // In double precision: rows of small eigenvalues are differences of large numbers.
      let kept = spectrum.rank
      withScratch(of: Double.self, kept * sizes.positions) { rows in
        multiply(
          MatrixView(matrix + (sizes.d - kept) * sizes.d, rows: kept, columns: sizes.d), features, into: rows)
        convert(rows, into: projections, count: kept * sizes.positions)
      }
      return scale
    }
  }

  private func gram<Scalar: RealScalar>(
    _ x: UnsafePointer<Scalar>, _ sizes: Sizes, into spectrum: EigenSpectrum<Scalar>,
    _ projections: UnsafeMutablePointer<Scalar>?
  ) throws(LAPACKError) -> Double {
    let n = sizes.positions
    return try withScratch(of: Double.self, sizes.featureCount * 2 + n * n + 2 * n) {
      (scratch) throws(LAPACKError) in
      let (rows, matrix) = (scratch + sizes.featureCount, scratch + 2 * sizes.featureCount)
      let (values, factors) = (matrix + n * n, matrix + n * n + n)
      let features = MatrixView(scratch, rows: sizes.d, columns: n)
      let scale = center(x, into: scratch, rows: sizes.d, columns: n)
      guard scale != 0 else { return spectrum.fillWithZeros() }
      multiplyByTranspose(features.transposed, into: matrix, scale: 1 / Double(n))
      try SolverCache.decompose(matrix, values: values, size: n, by: algorithm)
      // With more positions than channels there is more of a null space.
      let cut = SpectralFunction.cut(largest: values[n - 1], size: sizes.longer)
      let first = max((0..<n).first { values[$0] > cut } ?? n, n - sizes.rank)
      let kept = n - first
      let vectors = matrix + first * n
      for i in 0..<kept { factors[i] = 1 / (Double(n) * values[first + i]).squareRoot() }
      multiply(MatrixView(vectors, rows: kept, columns: n), features.transposed, into: rows)
      multiplyRows(rows, by: factors, into: rows, rows: kept, columns: sizes.d)
      spectrum.keep(values + first, above: 0, vectors: rows, count: kept)
      guard let projections else { return scale }
      for i in 0..<kept { factors[i] = 1 / factors[i] }
      multiplyRows(vectors, by: factors, into: vectors, rows: kept, columns: n)
      convert(vectors, into: projections, count: kept * n)
      return scale
    }
  }

  private func svd<Scalar: RealScalar>(
    _ x: UnsafePointer<Scalar>, _ sizes: Sizes, into spectrum: EigenSpectrum<Scalar>,
    _ projections: UnsafeMutablePointer<Scalar>?
  ) throws(LAPACKError) -> Double {
    let (d, n, count) = (sizes.d, sizes.positions, min(sizes.d, sizes.positions))
    return try withScratch(of: Scalar.self, d * n + d * count + count * n + count) {
      (centered) throws(LAPACKError) in
      let (left, right) = (centered + d * n, centered + d * n + d * count)
      let values = right + count * n
      let scale = center(x, into: centered, rows: d, columns: n)
      guard scale != 0 else { return spectrum.fillWithZeros() }
      try SolverCache.decompose(centered, rows: d, columns: n, values: values, left: left, right: right)
      let largest = Double(values[0])
      let known = 4 * Double(Scalar.ulpOfOne)
      let cut = max(SpectralFunction.cut(largest: largest * largest, size: sizes.longer).squareRoot(), known * largest)
      for i in 0..<sizes.rank {
        let value = Double(values[i])
        spectrum.values[i] = value > cut ? value * value / Double(n) : 0
      }
      transpose(left, into: centered, rows: d, columns: count)
      spectrum.vectors.update(from: centered, count: sizes.rank * d)
      if let projections { multiplyRows(right, by: values, into: projections, rows: sizes.rank, columns: n) }
      return scale
    }
  }
}

/// The sizes of one sample: d channels and N positions.
private struct Sizes {
  let d: Int, positions: Int
  /// At most so many eigenvalues are not 0: each channel's sum over the positions is.
  var rank: Int { min(d, max(positions - 1, 1)) }
  var longer: Int { max(d, positions) }
  var featureCount: Int { d * positions }

  init(_ shape: Shape) { (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *)) }
}
