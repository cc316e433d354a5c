import Foundation
import Kernels

/// Working memory that each thread keeps and grows: what a piece of work needs while it runs, not cleared.
private final class Scratch {
  var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  var isTaken = false

  func grow(to bytes: Int) {
    guard memory.count < bytes else { return }
    memory.deallocate()
    // What is large is made whole large pages: they lie side by side in memory, and so in the caches.
    let page = Int(COVPOOL_LARGE_PAGE)
    let bytes = bytes < page / 2 ? bytes : (bytes + page - 1) / page * page
    memory = UnsafeMutableRawBufferPointer(start: allocate(bytes: bytes), count: bytes)
  }

  deinit { memory.deallocate() }

  static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { pointer in
      #if canImport(Darwin)
        Unmanaged<Scratch>.fromOpaque(pointer).release()
      #else
        if let pointer { Unmanaged<Scratch>.fromOpaque(pointer).release() }
      #endif
    }
    return key
  }()

  static var current: Scratch {
    if let pointer = pthread_getspecific(key) { return Unmanaged<Scratch>.fromOpaque(pointer).takeUnretainedValue() }
    let scratch = Scratch()
    pthread_setspecific(key, Unmanaged.passRetained(scratch).toOpaque())
    return scratch
  }
}

/// Calls `body` with uninitialised memory for `count` scalars, the calling thread's own.
///
/// Reused from call to call, so that inner loops neither allocate nor touch fresh pages. A nested call gets memory of
/// its own.
package func withScratch<Scalar: BitwiseCopyable, Result>(
  of _: Scalar.Type, _ count: Int, _ body: (UnsafeMutablePointer<Scalar>) throws -> Result
) rethrows -> Result {
  let scratch = Scratch.current
  guard !scratch.isTaken else {
    let own = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Scalar>.stride, alignment: 64)
    defer { own.deallocate() }
    return try body(own.bindMemory(to: Scalar.self, capacity: max(count, 1)))
  }
  scratch.isTaken = true
  defer { scratch.isTaken = false }
  scratch.grow(to: max(count, 1) * MemoryLayout<Scalar>.stride)
  return try body(scratch.memory.baseAddress!.bindMemory(to: Scalar.self, capacity: max(count, 1)))
}

/// Makes a process that trains keep freed memory for its next step, where the C library can. For the whole process.
public func keepFreedMemory() { covpool_keep_freed_memory() }
