import COpenBLAS

/// A row-major matrix in somebody else's memory: `pointer[row * stride + column]`, or the transpose of one.
public struct MatrixView<Scalar: RealScalar> {
  /// The first scalar.
  public var pointer: UnsafePointer<Scalar>
  /// Rows of the matrix as it takes part in a product.
  public var rows: Int
  /// Columns of the matrix as it takes part in a product.
  public var columns: Int
  /// Scalars from one stored row to the next.
  public var stride: Int
  /// Whether the memory holds the transpose, row by row.
  public var isTransposed = false

  /// A `rows` × `columns` matrix at `pointer`; rows are `stride` apart, by default `columns`.
  public init(_ pointer: UnsafePointer<Scalar>, rows: Int, columns: Int, stride: Int? = nil) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// A `rows` × `columns` matrix at `pointer`; rows are `stride` apart, by default `columns`.
  public init(_ pointer: UnsafeMutablePointer<Scalar>, rows: Int, columns: Int, stride: Int? = nil) {
    self.init(UnsafePointer(pointer), rows: rows, columns: columns, stride: stride)
  }

  /// The transpose, without moving anything.
  public var transposed: MatrixView {
    var view = self
    swap(&view.rows, &view.columns)
    view.isTransposed.toggle()
    return view
  }

  /// A block of whole rows.
  func rows(_ range: Range<Int>) -> MatrixView {
    var view = self
    view.pointer += range.lowerBound * (isTransposed ? 1 : stride)
    view.rows = range.count
    return view
  }

  fileprivate var blasTranspose: CBLAS_TRANSPOSE { isTransposed ? CblasTrans : CblasNoTrans }
}

/// `result ← scale · a · b + keeping · result`, on the calling thread.
/// - Precondition: `a` is m×k, `b` k×n and `result` m×n; `result` overlaps neither.
public func multiply<Scalar: RealScalar>(
  _ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, into result: UnsafeMutablePointer<Scalar>, stride: Int? = nil,
  scale: Scalar = 1, keeping: Scalar = 0
) {
  check(a.columns == b.rows, "product of \(a.rows)×\(a.columns) and \(b.rows)×\(b.columns)")
  prepareBLAS()
  let (m, n, k) = (Int32(a.rows), Int32(b.columns), Int32(a.columns))
  guard m > 0, n > 0 else { return }
  let (lda, ldb, ldc) = (Int32(max(a.stride, 1)), Int32(max(b.stride, 1)), Int32(stride ?? b.columns))
  Scalar.routines.blas.gemm(
    CblasRowMajor, a.blasTranspose, b.blasTranspose, m, n, k, scale, a.pointer, lda, b.pointer, ldb, keeping, result,
    ldc)
}

/// The same product, its rows spread over `pool`: for the few large products of a single sample.
public func multiply<Scalar: RealScalar>(
  _ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, into result: UnsafeMutablePointer<Scalar>, over pool: WorkerPool
) {
  let pieces = min(pool.width, max(1, a.rows / 32))
  pool.forEach(pieces) { piece in
    let rows = piece * a.rows / pieces..<(piece + 1) * a.rows / pieces
    multiply(a.rows(rows), b, into: result + rows.lowerBound * b.columns)
  }
}

/// `count` products of equal sizes, spread over `pool`: `result[i] ← scale · a[i] · b[i]`, matrices lying one after another.
/// - Precondition: `a` and `b` describe the first matrices, stored without gaps between rows.
public func multiplyBatch<Scalar: RealScalar>(
  _ count: Int, _ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, into result: UnsafeMutablePointer<Scalar>,
  scale: Scalar = 1, over pool: WorkerPool = .shared
) {
  pool.forEach(count) { index in
    var (left, right) = (a, b)
    left.pointer += index * a.rows * a.columns
    right.pointer += index * b.rows * b.columns
    multiply(left, right, into: result + index * a.rows * b.columns, scale: scale)
  }
}

/// `result ← scale · a · aᵀ`, both triangles filled, on the calling thread: half the work of a product.
/// - Precondition: `result` is m×m for an m×k `a` and does not overlap it.
public func multiplyByTranspose<Scalar: RealScalar>(
  _ a: MatrixView<Scalar>, into result: UnsafeMutablePointer<Scalar>, scale: Scalar = 1
) {
  prepareBLAS()
  let (m, k, lda) = (Int32(a.rows), Int32(a.columns), Int32(a.stride))
  guard m > 0 else { return }
  Scalar.routines.blas.syrk(CblasRowMajor, CblasUpper, a.blasTranspose, m, k, scale, a.pointer, lda, 0, result, m)
  Scalar.routines.kernels.mirrorUpper(result, a.rows)
}

/// `result ← a · x` for a vector `x`, on the calling thread.
public func multiply<Scalar: RealScalar>(
  _ a: MatrixView<Scalar>, vector x: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>
) {
  prepareBLAS()
  let (rows, columns) = a.isTransposed ? (Int32(a.columns), Int32(a.rows)) : (Int32(a.rows), Int32(a.columns))
  Scalar.routines.blas.gemv(
    CblasRowMajor, a.blasTranspose, rows, columns, 1, a.pointer, Int32(a.stride), x, 1, 0, result, 1)
}
