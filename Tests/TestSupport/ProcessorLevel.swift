import Foundation
import Kernels

private let levelLock = NSLock()

/// Calls `body` with no better vector instructions than those of `level`: 2 for AVX-512, 1 for AVX2, 0 for what every
/// processor has. The limit is the whole process's, so one test at a time has it.
public func withInstructions<Result>(ofLevel level: Int, _ body: () -> Result) -> Result {
  levelLock.withLock {
    covpool_limit_processor_level(Int32(level))
    defer { covpool_limit_processor_level(2) }
    return body()
  }
}
