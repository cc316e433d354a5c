import Kernels

/// Memory that a LAPACK routine works in, made once for a size and used for every matrix of it.
struct Workspace<Scalar: RealScalar>: ~Copyable {
  let numbers: UnsafeMutableBufferPointer<Scalar>
  let integers: UnsafeMutableBufferPointer<Int32>

  init(numbers: Int, integers: Int) {
    self.numbers = .allocate(capacity: max(1, numbers))
    self.integers = .allocate(capacity: max(1, integers))
  }

  deinit {
    numbers.deallocate()
    integers.deallocate()
  }
}

/// Throws where a matrix holds NaN or infinity: LAPACK may loop on them or return nonsense.
func requireFinite<Scalar: RealScalar>(_ scalars: UnsafePointer<Scalar>, count: Int) throws(LAPACKError) {
  let isFinite = forPrecision(
    of: Scalar.self, float: { covpool_all_finite_f32(scalars.float, count) != 0 },
    double: { covpool_all_finite_f64(scalars.double, count) != 0 })
  if !isFinite { throw .notFinite }
}
