import Kernels

/// Products of symmetric matrices of one size, which are stored so that they multiply quickly: in single precision in
/// panels (`Kernels/symmetric.c`), of which a product computes only one triangle; otherwise by rows, for BLAS.
package struct SymmetricProducts<Scalar: RealScalar> {
  /// Rows and columns of a matrix.
  package let size: Int
  /// Threads that share a product; `nil` for the calling thread alone.
  private let pool: WorkerPool?
  /// `nil` where matrices are stored by rows.
  private let kernels: PackedKernels<Scalar>?

  /// Products of matrices with `size` rows and columns, each shared out over `pool` if there is one.
  /// - Parameter isExact: whether every product must be what its two factors give. Panels take a left factor for symmetric
  ///   and mirror one triangle of the result, which rounding makes a slightly different matrix: a long coupled iteration,
  ///   which is stable for true products only, would diverge.
  package init(size: Int, over pool: WorkerPool? = nil, isExact: Bool = false) {
    (self.size, self.pool) = (size, pool)
    kernels = isExact ? nil : Scalar.preferredPackedKernels
  }

  /// Scalars that a stored matrix takes.
  package var scalarCount: Int { kernels == nil ? size * size : covpool_paneled_size(size) }

  /// `y ← factor · x`, where `x` holds rows and `y` is stored.
  package func load(_ x: UnsafePointer<Scalar>, scale factor: Scalar, into y: UnsafeMutablePointer<Scalar>) {
    if let kernels {
      kernels.toPanels(x, size, factor, y)
    } else {
      scaled(x, by: factor, into: y, count: size * size)
    }
  }

  /// `y ← factor · x`, where `x` is stored and `y` holds rows.
  package func unload(_ x: UnsafePointer<Scalar>, scale factor: Scalar, into y: UnsafeMutablePointer<Scalar>) {
    if let kernels {
      kernels.fromPanels(x, size, factor, y)
    } else {
      scaled(x, by: factor, into: y, count: size * size)
    }
  }

  /// `c ← scale · a · b + alpha · x + identity · I`, without `x` where there is none.
  /// - Parameter isSymmetric: whether the product is known to be: then half of it is computed.
  /// - Precondition: `a` and `x` are symmetric; `c` is neither `a` nor `b` nor `x`.
  package func multiply(
    _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, into c: UnsafeMutablePointer<Scalar>, scale: Scalar = 1,
    adding alpha: Scalar = 0, _ x: UnsafePointer<Scalar>? = nil, plusIdentity identity: Scalar = 0, isSymmetric: Bool
  ) {
    guard let kernels else {
      multiplyByRows(a, b, into: c, scale: scale)
      if let x { accumulate(x, times: alpha, into: c, count: size * size) }
      if identity != 0 { add(identity, toDiagonalOf: c) }
      return
    }
    let panels = covpool_panels(size)
    func compute(_ range: Range<Int>) {
      kernels.panelsMultiply(
        size, a, b, scale, alpha, x, identity, isSymmetric ? 1 : 0, range.lowerBound, range.upperBound, c)
    }
    // The later a panel, the more of its blocks are on or above the diagonal: the largest pieces are handed out first.
    if let pool {
      pool.forEach(panels) { compute(panels - 1 - $0..<panels - $0) }
    } else {
      compute(0..<panels)
    }
  }

  /// `c ← scale · a · b` for matrices by rows, in the same pieces with and without threads: BLAS rounds differently for
  /// other numbers of rows.
  private func multiplyByRows(
    _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, into c: UnsafeMutablePointer<Scalar>, scale: Scalar
  ) {
    let (left, right) = (MatrixView(a, rows: size, columns: size), MatrixView(b, rows: size, columns: size))
    func compute(_ piece: Int) {
      let rows = piece * Self.rowsOfPiece..<min((piece + 1) * Self.rowsOfPiece, size)
      LinearAlgebra.multiply(left.rows(rows), right, into: c + rows.lowerBound * size, scale: scale)
    }
    let pieces = (size + Self.rowsOfPiece - 1) / Self.rowsOfPiece
    if let pool {
      pool.forEach(pieces, compute)
    } else {
      for piece in 0..<pieces { compute(piece) }
    }
  }

  /// Enough that BLAS packing the right factor for each piece costs a few percent.
  private static var rowsOfPiece: Int { 128 }

  /// `c ← alpha · x + beta · (a · b + (a · b)ᵀ)`, on the calling thread.
  /// - Precondition: `a` and `x` are symmetric; `c` is none of the others.
  package func multiplySymmetrized(
    _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, scale beta: Scalar, adding alpha: Scalar,
    _ x: UnsafePointer<Scalar>, into c: UnsafeMutablePointer<Scalar>
  ) {
    if let kernels {
      kernels.panelsMultiplySymmetrized(size, alpha, x, beta, a, b, 0, covpool_panels(size), c)
    } else {
      multiply(a, b, into: c, isSymmetric: false)
      addTranspose(to: c, scale: beta, adding: alpha, x)
    }
  }

  /// `c ← alpha · x + beta · (c + cᵀ)` for matrices by rows.
  private func addTranspose(
    to c: UnsafeMutablePointer<Scalar>, scale beta: Scalar, adding alpha: Scalar, _ x: UnsafePointer<Scalar>
  ) {
    Scalar.routines.kernels.symmetrize(alpha, x, beta, c, size)
  }

  /// `z ← alpha · x + beta · y + gamma · yᵀ`; `z` is neither `x` nor `y`.
  package func combine(
    _ alpha: Scalar, _ x: UnsafePointer<Scalar>, _ beta: Scalar, _ y: UnsafePointer<Scalar>,
    transposed gamma: Scalar, into z: UnsafeMutablePointer<Scalar>
  ) {
    guard let kernels else {
      Scalar.routines.kernels.combine(alpha, x, beta, y, gamma, z, size)
      return
    }
    kernels.panelsCombine(size, alpha, x, beta, y, gamma, z)
  }

  /// `x ← x + value · I`.
  package func add(_ value: Scalar, toDiagonalOf x: UnsafeMutablePointer<Scalar>) {
    let width = Int(COVPOOL_PANEL_COLUMNS)
    let rows = covpool_panels(size) * width
    for i in 0..<size { x[kernels == nil ? i * (size + 1) : (i / width * rows + i) * width + i % width] += value }
  }
}

/// `y ← factor · x`; may be in place.
package func scaled<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, by factor: Scalar, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  Scalar.routines.kernels.scale(x, factor, y, count)
}
