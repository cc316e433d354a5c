/// Why a decomposition failed.
public enum LAPACKError: Error, Equatable, CustomStringConvertible, Sendable {
  /// An argument was not what the routine takes: a bug in the caller.
  case badArgument(routine: String, position: Int)
  /// The iteration did not converge.
  case notConverged(routine: String, info: Int)
  /// A leading minor is not positive definite; `index` is that of its last row, from 0.
  case notPositiveDefinite(index: Int)
  /// The matrix holds NaN or infinity.
  case notFinite

  public var description: String {
    switch self {
    case .badArgument(let routine, let position): "\(routine): argument \(position) is not valid"
    case .notConverged(let routine, let info): "\(routine) did not converge (info \(info))"
    case .notPositiveDefinite(let index): "the matrix is not positive definite: pivot \(index) is not positive"
    case .notFinite: "the matrix holds NaN or infinity"
    }
  }

  /// Turns a routine's `info` into an error: negative for a bad argument, positive for what `failure` makes of it.
  static func check(
    _ info: Int32, _ routine: String, failure: (Int) -> LAPACKError
  ) throws(LAPACKError) {
    if info < 0 { throw .badArgument(routine: routine, position: -Int(info)) }
    if info > 0 { throw failure(Int(info)) }
  }

  static func check(_ info: Int32, _ routine: String) throws(LAPACKError) {
    try check(info, routine) { .notConverged(routine: routine, info: $0) }
  }
}
