import Kernels

/// Products of symmetric matrices of one size, which are stored so that they multiply quickly: in single precision in
/// panels (`Kernels/gemm/symmetric.c`), of which a product computes only one triangle; otherwise by rows, for BLAS. Other
/// matrices are stored alike: see `scalarCount(rows:columns:)`.
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
  package var scalarCount: Int { scalarCount(rows: size, columns: size) }

  /// Scalars that a stored matrix of any shape takes.
  package func scalarCount(rows: Int, columns: Int) -> Int {
    kernels == nil ? rows * columns : covpool_paneled_size(rows, columns)
  }

  /// `y ← factor · x`, where `x` holds rows and `y` is stored.
  package func load(_ x: UnsafePointer<Scalar>, scale factor: Scalar, into y: UnsafeMutablePointer<Scalar>) {
    load(x, rows: size, columns: size, scale: factor, into: y)
  }

  /// The same for a matrix of any shape.
  package func load(
    _ x: UnsafePointer<Scalar>, rows: Int, columns: Int, scale factor: Scalar = 1, into y: UnsafeMutablePointer<Scalar>
  ) {
    if let kernels {
      kernels.toPanels(x, rows, columns, factor, y)
    } else {
      scaled(x, by: factor, into: y, count: rows * columns)
    }
  }

  /// `y ← xᵀ`, where `x` holds rows and `y` is stored, as `columns` × `rows`.
  package func loadTranspose(
    _ x: UnsafePointer<Scalar>, rows: Int, columns: Int, into y: UnsafeMutablePointer<Scalar>
  ) {
    if let kernels {
      kernels.toPanelsTransposed(x, rows, columns, y)
    } else {
      transpose(x, into: y, rows: rows, columns: columns)
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

  /// `y ← xᵀ`, where `x` is stored, as `rows` × `columns`, and `y` holds rows.
  package func unloadTranspose(
    _ x: UnsafePointer<Scalar>, rows: Int, columns: Int, into y: UnsafeMutablePointer<Scalar>
  ) {
    if let kernels {
      kernels.fromPanelsTransposed(x, rows, columns, y)
    } else {
      transpose(x, into: y, rows: rows, columns: columns)
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
      // Not the transpose of `a`: rounding has made them slightly different, and an exact product is one of `a` itself.
      let (left, right) = (MatrixView(a, rows: size, columns: size), MatrixView(b, rows: size, columns: size))
      multiplyByRows(left, right, into: c, scale: scale, adding: alpha, x)
      if identity != 0 { add(identity, toDiagonalOf: c) }
      return
    }
    multiplyPanels(
      kernels, a, b, depth: size, rows: size, columns: size, into: c, scale: scale, adding: alpha, x,
      plusIdentity: identity,
      isSymmetric: isSymmetric)
  }

  /// `c ← scale · aᵀ · b + alpha · x` of stored matrices of any shapes, without `x` where there is none.
  /// - Parameter isSymmetric: whether the product is known to be: then half of it is computed.
  /// - Precondition: `a` is `depth` × `rows`, `b` is `depth` × `columns`, `c` and `x` are `rows` × `columns`; `c` is none
  ///   of the others.
  package func multiplyTranspose(
    _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, depth: Int, rows: Int, columns: Int,
    into c: UnsafeMutablePointer<Scalar>, scale: Scalar = 1, adding alpha: Scalar = 0,
    _ x: UnsafePointer<Scalar>? = nil, isSymmetric: Bool = false
  ) {
    if let kernels {
      multiplyPanels(
        kernels, a, b, depth: depth, rows: rows, columns: columns, into: c, scale: scale, adding: alpha, x,
        plusIdentity: 0,
        isSymmetric: isSymmetric)
    } else {
      multiplyByRows(
        MatrixView(a, rows: depth, columns: rows).transposed, MatrixView(b, rows: depth, columns: columns), into: c,
        scale: scale, adding: alpha, x)
      if isSymmetric { Scalar.routines.kernels.mirrorUpper(c, rows) }
    }
  }

  private func multiplyPanels(
    _ kernels: PackedKernels<Scalar>, _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, depth: Int, rows: Int,
    columns: Int, into c: UnsafeMutablePointer<Scalar>, scale: Scalar, adding alpha: Scalar,
    _ x: UnsafePointer<Scalar>?, plusIdentity identity: Scalar, isSymmetric: Bool
  ) {
    forEachPanels(covpool_panels(columns), multiplyAdds: depth * rows * columns / (isSymmetric ? 2 : 1)) { panels in
      kernels.panelsMultiply(
        depth, rows, columns, a, b, scale, alpha, x, identity, isSymmetric ? 1 : 0, panels.lowerBound,
        panels.upperBound, c)
    }
  }

  /// `c ← aᵀ · b` of stored `depth` × `columns` matrices whose product is known to be symmetric; `c` holds rows.
  package func multiplyTransposeToRows(
    _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, depth: Int, columns: Int,
    into c: UnsafeMutablePointer<Scalar>
  ) {
    guard let kernels else {
      return multiplyTranspose(a, b, depth: depth, rows: columns, columns: columns, into: c, isSymmetric: true)
    }
    forEachPanels(covpool_panels(columns), multiplyAdds: depth * columns * columns / 2) { panels in
      kernels.panelsMultiplyToRows(
        depth, columns, a, b, panels.lowerBound, panels.upperBound, c)
    }
  }

  /// Calls `body` with all panels, or with one after another on the pool's threads: those first of whose blocks most are on
  /// or below the diagonal.
  private func forEachPanels(_ count: Int, multiplyAdds: Int, _ body: (Range<Int>) -> Void) {
    if let pool, multiplyAdds >= Self.multiplyAddsToShare {
      pool.forEach(count) { body($0..<$0 + 1) }
    } else {
      body(0..<count)
    }
  }

  /// What takes one thread two or three microseconds: less is done before other threads have heard of it.
  private static var multiplyAddsToShare: Int { 1 << 18 }

  /// `c ← scale · a · b + alpha · x` for matrices by rows, in the same pieces with and without threads: BLAS rounds
  /// differently for other numbers of rows.
  private func multiplyByRows(
    _ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, into c: UnsafeMutablePointer<Scalar>, scale: Scalar,
    adding alpha: Scalar, _ x: UnsafePointer<Scalar>?
  ) {
    func compute(_ piece: Int) {
      let rows = piece * Self.rowsOfPiece..<min((piece + 1) * Self.rowsOfPiece, a.rows)
      LinearAlgebra.multiply(a.rows(rows), b, into: c + rows.lowerBound * b.columns, scale: scale)
    }
    let pieces = (a.rows + Self.rowsOfPiece - 1) / Self.rowsOfPiece
    if let pool {
      pool.forEach(pieces, compute)
    } else {
      for piece in 0..<pieces { compute(piece) }
    }
    if let x { accumulate(x, times: alpha, into: c, count: a.rows * b.columns) }
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
