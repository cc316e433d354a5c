import Kernels

extension Tensor {
  /// Multiplies every scalar by `factor`.
  public mutating func scale(by factor: Scalar) {
    withUnsafeMutableScalars { scalars in
      guard let y = scalars.baseAddress else { return }
      forEachChunk(of: scalars.count) { range in
        let start = y + range.lowerBound
        forPrecision(
          of: Scalar.self, float: { covpool_scale_f32(start.float, Float(factor), start.float, range.count) },
          double: { covpool_scale_f64(start.double, Double(factor), start.double, range.count) })
      }
    }
  }

  /// Σ x², in double precision, always in the same order.
  public var squaredNorm: Double {
    withUnsafeScalars { scalars in
      guard let x = scalars.baseAddress else { return 0 }
      return forPrecision(
        of: Scalar.self, float: { covpool_dot_f32(x.float, x.float, scalars.count) },
        double: { covpool_dot_f64(x.double, x.double, scalars.count) })
    }
  }

  /// Whether no scalar is NaN or infinite.
  public var isFinite: Bool {
    withUnsafeScalars { scalars in
      guard let x = scalars.baseAddress else { return true }
      return forPrecision(
        of: Scalar.self, float: { covpool_all_finite_f32(x.float, scalars.count) != 0 },
        double: { covpool_all_finite_f64(x.double, scalars.count) != 0 })
    }
  }
}
