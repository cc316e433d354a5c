import Kernels

/// Copies the upper triangle of an n×n matrix onto the lower.
package func mirrorUpperTriangle<Scalar: RealScalar>(_ matrix: UnsafeMutablePointer<Scalar>, size n: Int) {
  forPrecision(
    of: Scalar.self, float: { covpool_mirror_upper_f32(matrix.float, n) },
    double: { covpool_mirror_upper_f64(matrix.double, n) })
}

/// `result[row, column] ← a[row, column] · factors[row]`.
package func multiplyRows<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, by factors: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>, rows: Int,
  columns: Int
) {
  for row in 0..<rows {
    let (from, to) = (a + row * columns, result + row * columns)
    forPrecision(
      of: Scalar.self, float: { covpool_scale_f32(from.float, Float(factors[row]), to.float, columns) },
      double: { covpool_scale_f64(from.double, Double(factors[row]), to.double, columns) })
  }
}
