import Kernels
import Tensors

/// Eigenvalues of one sample's Σ that are not 0, and their eigenvectors: Σ = Uᵀ diag(λ) U with U's rows the vectors.
///
/// What f(Σ) and its gradient need; where the matrix is singular the null space is never built.
struct EigenSpectrum<Scalar: RealScalar> {
  /// Rows and columns of Σ.
  let size: Int
  /// Room for `capacity` rows of length `size`, of which the first `rank` count.
  let vectors: UnsafeMutablePointer<Scalar>
  /// Room for `capacity` eigenvalues; those after the first `rank` are 0.
  let values: UnsafeMutablePointer<Double>
  let capacity: Int
  /// A power of two: the spectrum is that of Σ over its square.
  var scale = 1.0

  /// How many eigenvalues are not 0.
  var rank: Int { (0..<capacity).first { values[$0] == 0 } ?? capacity }

  /// λ̄, the mean of all eigenvalues, zeros included.
  var meanEigenvalue: Double { (0..<capacity).reduce(0) { $0 + values[$1] } / Double(max(size, 1)) }

  /// Marks a sample that has no spectrum: its gradient is NaN.
  func fillWithNaN() {
    fill(vectors, with: .nan, count: capacity * size)
    values.update(repeating: .nan, count: capacity)
  }

  /// The spectrum of 0.
  /// - Returns: its scale.
  func fillWithZeros() -> Double {
    values.update(repeating: 0, count: capacity)
    return 1
  }

  /// Keeps eigenvalues above `cut`, in ascending order at `found`, with their vectors; the others become 0.
  func keep<Work: RealScalar>(
    _ found: UnsafePointer<Double>, above cut: Double, vectors rows: UnsafePointer<Work>, count: Int
  ) {
    let first = (0..<count).first { found[$0] > cut } ?? count
    for i in 0..<capacity { values[i] = first + i < count ? found[first + i] : 0 }
    convert(rows + first * size, into: vectors, count: (count - first) * size)
  }

  /// f(Σ) = f(0) I + Σ (f(λᵢ) − f(0)) uᵢ uᵢᵀ. The functions rise, so that is half of a product. The scale's square c comes
  /// in at the end: (c λ)^α = c^α λ^α and log (c λ) = log c + log λ.
  /// - Returns: whether f is in the range of `Scalar`; the result is NaN where it is not.
  func compose(_ function: SpectralFunction, into result: UnsafeMutablePointer<Scalar>) -> Bool {
    let rank = rank
    guard rank > 0 else {
      fill(result, with: 0, count: size * size)
      return true
    }
    let f = function.evaluated(meanEigenvalue: meanEigenvalue)
    let (gain, addend) = function.effect(ofScale: scale)
    let atZero = f(0)
    let largest = Scalar((0..<rank).reduce(atZero) { max($0, f(values[$1])) } * gain)
    guard (0..<rank).allSatisfy({ Scalar(f(values[$0])).isFinite }), largest.isFinite, gain == 1 || largest != 0 else {
      fill(result, with: .nan, count: size * size)
      return false
    }
    withScratch(of: Scalar.self, rank * size) { rows in
      withScratch(of: Scalar.self, rank) { factors in
        for i in 0..<rank { factors[i] = Scalar((f(values[i]) - atZero).squareRoot()) }
        multiplyRows(vectors, by: factors, into: rows, rows: rank, columns: size)
      }
      multiplyByTranspose(MatrixView(rows, rows: rank, columns: size).transposed, into: result)
    }
    if gain != 1 { scaled(result, by: Scalar(gain), into: result, count: size * size) }
    if atZero != 0 || addend != 0 { for i in 0..<size { result[i * (size + 1)] += Scalar(atZero + addend) } }
    return true
  }
}
