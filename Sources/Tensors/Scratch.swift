import Foundation
import Kernels

/// Working memory that each thread keeps and grows: what a piece of work needs while it runs, not cleared. A piece within
/// a piece has a block of its own.
private final class Scratch {
  private var blocks: [UnsafeMutableRawBufferPointer] = []
  private var depth = 0

  /// The block of the current depth, with room for at least `bytes`, until `leave`.
  func enter(bytes: Int) -> UnsafeMutableRawPointer {
    if depth == blocks.count { blocks.append(UnsafeMutableRawBufferPointer(start: nil, count: 0)) }
    if blocks[depth].count < bytes {
      free(blocks[depth].baseAddress)
      // What is large is made whole large pages: they lie side by side in memory, and so in the caches.
      let page = Int(COVPOOL_LARGE_PAGE)
      let bytes = bytes < page / 2 ? bytes : (bytes + page - 1) / page * page
      blocks[depth] = UnsafeMutableRawBufferPointer(start: allocateMemory(bytes: bytes), count: bytes)
    }
    depth += 1
    return blocks[depth - 1].baseAddress!
  }

  func leave() { depth -= 1 }

  deinit { for block in blocks { free(block.baseAddress) } }

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
/// Reused from call to call, so that inner loops neither allocate nor touch fresh pages. A nested call gets other memory.
package func withScratch<Scalar: BitwiseCopyable, Result, Failure: Error>(
  of _: Scalar.Type, _ count: Int, _ body: (UnsafeMutablePointer<Scalar>) throws(Failure) -> Result
) throws(Failure) -> Result {
  let scratch = Scratch.current
  let memory = scratch.enter(bytes: max(count, 1) * MemoryLayout<Scalar>.stride)
  defer { scratch.leave() }
  return try body(memory.bindMemory(to: Scalar.self, capacity: max(count, 1)))
}

/// Makes a process that trains keep freed memory for its next step, where the C library can. For the whole process.
public func keepFreedMemory() { covpool_keep_freed_memory() }
