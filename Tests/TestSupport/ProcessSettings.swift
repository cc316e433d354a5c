import Foundation
import Kernels
import Tensors

/// Instructions and threads are settings of the whole process, in which tests run side by side: one at a time changes them or
/// relies on them.
private let settings = NSLock()

/// Calls `body` with no better vector instructions than those of `level`: 2 for AVX-512, 1 for AVX2, 0 for what every
/// processor has.
public func withInstructions<Result>(ofLevel level: Int, _ body: () throws -> Result) rethrows -> Result {
  try settings.withLock {
    covpool_limit_processor_level(Int32(level))
    defer { covpool_limit_processor_level(2) }
    return try body()
  }
}

/// Calls `body` with so many threads in the shared pool.
public func withThreads<Result>(_ count: Int, _ body: () throws -> Result) rethrows -> Result {
  try settings.withLock {
    let before = WorkerPool.shared.width
    WorkerPool.shared.width = count
    defer { WorkerPool.shared.width = before }
    return try body()
  }
}

/// Calls `body` while nobody changes instructions or threads: for tests that compare two computations bit by bit.
public func withSettledProcess<Result>(_ body: () throws -> Result) rethrows -> Result {
  settings.lock()
  defer { settings.unlock() }
  return try body()
}
