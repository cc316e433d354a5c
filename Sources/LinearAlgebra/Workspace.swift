import Foundation
import Kernels

/// The memory that a LAPACK routine works in, made once for a size and used for every matrix of that size.
struct Workspace<Scalar: RealScalar>: ~Copyable {
  let numbers: UnsafeMutableBufferPointer<Scalar>
  let integers: UnsafeMutableBufferPointer<Int32>

  /// Uninitialised memory for at least one scalar and one integer.
  init(numbers: Int, integers: Int) {
    self.numbers = Self.allocate(numbers)
    self.integers = Self.allocate(integers)
  }

  /// At a cache line's boundary, so that two threads' workspaces share none and all have the same alignment.
  private static func allocate<Element: BitwiseCopyable>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
    let count = max(1, count)
    let memory = allocateMemory(bytes: count * MemoryLayout<Element>.stride)
    return UnsafeMutableBufferPointer(start: memory.bindMemory(to: Element.self, capacity: count), count: count)
  }

  deinit {
    free(numbers.baseAddress)
    free(integers.baseAddress)
  }
}

/// The count that a workspace query stored in a number.
///
/// A large count has been rounded to that number, perhaps downwards; the next number is never too small.
func workspaceCount<Scalar: RealScalar>(_ reported: Scalar) -> Int { Int(reported.nextUp.rounded(.up)) }

/// Throws where one of `count` scalars is NaN or infinite: LAPACK may loop for ever on them or return nonsense.
func requireFinite<Scalar: RealScalar>(_ scalars: UnsafePointer<Scalar>, count: Int) throws(LAPACKError) {
  let isFinite = Scalar.routines.kernels.allFinite(scalars, count) != 0
  if !isFinite { throw .notFinite }
}
