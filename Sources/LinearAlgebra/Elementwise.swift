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

/// Sets `count` scalars to `value`. Quick in unspecialised generic code, where a loop is not.
package func fill<Scalar: RealScalar>(_ y: UnsafeMutablePointer<Scalar>, with value: Scalar, count: Int) {
  forPrecision(
    of: Scalar.self, float: { y.float.update(repeating: Float(value), count: count) },
    double: { y.double.update(repeating: Double(value), count: count) })
}

/// Copies scalars of either precision to double precision.
package func widen<Scalar: RealScalar>(_ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Double>, count: Int) {
  forPrecision(
    of: Scalar.self, float: { covpool_to_double_f32(x.float, y, count) },
    double: { covpool_to_double_f64(x.double, y, count) })
}

/// Copies double-precision numbers to scalars of either precision, rounding them.
package func narrow<Scalar: RealScalar>(_ x: UnsafePointer<Double>, into y: UnsafeMutablePointer<Scalar>, count: Int) {
  forPrecision(
    of: Scalar.self, float: { covpool_from_double_f32(x, y.float, count) },
    double: { covpool_from_double_f64(x, y.double, count) })
}

/// Σ x², in double precision.
package func sumOfSquares<Scalar: RealScalar>(_ x: UnsafePointer<Scalar>, count: Int) -> Double {
  forPrecision(
    of: Scalar.self, float: { covpool_dot_f32(x.float, x.float, count) },
    double: { covpool_dot_f64(x.double, x.double, count) })
}

/// Copies numbers from one precision to the same or the other.
package func convert<From: RealScalar, To: RealScalar>(
  _ x: UnsafePointer<From>, into y: UnsafeMutablePointer<To>, count: Int
) {
  forPrecision(
    of: From.self,
    float: {
      forPrecision(
        of: To.self, float: { y.float.update(from: x.float, count: count) },
        double: { widen(x.float, into: y.double, count: count) })
    },
    double: { narrow(x.double, into: y, count: count) })
}

/// `result[column, row] ← a[row, column]`.
package func transpose<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>, rows: Int, columns: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_transpose_f32(a.float, result.float, rows, columns) },
    double: { covpool_transpose_f64(a.double, result.double, rows, columns) })
}

/// `y ← y + factor · x`.
package func accumulate<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, times factor: Scalar, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_accumulate_f32(Float(factor), x.float, y.float, count) },
    double: { covpool_accumulate_f64(Double(factor), x.double, y.double, count) })
}

/// Σ aᵢ bᵢ, in double precision.
package func dot<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, count: Int
) -> Double {
  forPrecision(
    of: Scalar.self, float: { covpool_dot_f32(a.float, b.float, count) },
    double: { covpool_dot_f64(a.double, b.double, count) })
}
