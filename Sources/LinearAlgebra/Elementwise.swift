import Kernels

/// `result[row, column] ← a[row, column] · factors[row]`.
package func multiplyRows<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, by factors: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>, rows: Int,
  columns: Int
) {
  for row in 0..<rows {
    let (from, to) = (a + row * columns, result + row * columns)
    Scalar.routines.kernels.scale(from, factors[row], to, columns)
  }
}

/// Sets `count` scalars to `value`. Quick in unspecialised generic code, where a loop is not.
package func fill<Scalar: RealScalar>(_ y: UnsafeMutablePointer<Scalar>, with value: Scalar, count: Int) {
  Scalar.routines.kernels.fill(y, value, count)
}

/// Σ x², in double precision.
package func sumOfSquares<Scalar: RealScalar>(_ x: UnsafePointer<Scalar>, count: Int) -> Double {
  Scalar.routines.kernels.dot(x, x, count)
}

/// Copies numbers from one precision to the same or the other.
package func convert<From: RealScalar, To: RealScalar>(
  _ x: UnsafePointer<From>, into y: UnsafeMutablePointer<To>, count: Int
) {
  if let x = x as? UnsafePointer<To> {
    y.update(from: x, count: count)
  } else if let y = y as? UnsafeMutablePointer<Double> {
    From.routines.kernels.toDouble(x, y, count)
  } else if let x = x as? UnsafePointer<Double> {
    To.routines.kernels.fromDouble(x, y, count)
  }
}

/// `result[column, row] ← a[row, column]`.
package func transpose<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, into result: UnsafeMutablePointer<Scalar>, rows: Int, columns: Int
) {
  Scalar.routines.kernels.transpose(a, columns, rows, columns, result, rows)
}

/// `y ← y + factor · x`.
package func accumulate<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, times factor: Scalar = 1, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  Scalar.routines.kernels.accumulate(factor, x, y, count)
}

/// Σ aᵢ bᵢ, in double precision.
package func dot<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, count: Int
) -> Double {
  Scalar.routines.kernels.dot(a, b, count)
}
