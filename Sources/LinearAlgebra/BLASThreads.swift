import COpenBLAS
import Foundation
import Synchronization

/// Runs once, when first read: Swift initialises a global lazily and behind a lock.
private let singleThreaded: Void = openblas_set_num_threads(1)

/// Makes every BLAS call run on the thread that makes it, for the whole process from now on.
///
/// Work is spread over threads outside of BLAS, in pieces. A BLAS with threads of its own would compete with them, and
/// its results would depend on how many there are.
package func useSingleThreadedBLAS() { _ = singleThreaded }

/// What each function does before it calls BLAS or LAPACK: one thread, and a buffer for it.
///
/// OpenBLAS takes a buffer for each call that runs at the time, keeps it for later ones, and where the system gives none asks
/// again for ever. So a thread sees to it, before its first call, that there are as many as threads that call.
func prepareBLAS() {
  useSingleThreadedBLAS()
  guard pthread_getspecific(BLASBuffers.key) == nil else { return }
  pthread_setspecific(BLASBuffers.key, UnsafeRawPointer(bitPattern: 1))
  BLASBuffers.shared.withLock { $0.addThread() }
}

/// Takes buffers for as many threads ahead, where addresses are limited.
/// - Parameter spare: bytes that are to be left for other uses.
/// - Returns: how many threads have one; `threads` where there are no limits.
/// - Throws: where not even one can be had.
package func reserveBLASBuffers(threads: Int, spare: Int) throws(MemoryError) -> Int {
  useSingleThreadedBLAS()
  let count = BLASBuffers.shared.withLock { $0.reserve(threads, spare: spare) }
  guard count > 0 else {
    throw MemoryError(
      purpose: "OpenBLAS with the rest", bytes: BLASBuffers.bytes + spare, available: availableAddresses() ?? 0,
      remedy: "raise the limit (ulimit -v or -d)")
  }
  return count
}

private struct BLASBuffers {
  static let shared = Mutex(BLASBuffers())

  /// Set for a thread that has been counted; one that ends gives its buffer to another.
  static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { _ in BLASBuffers.shared.withLock { $0.threads -= 1 } }
    return key
  }()

  /// OpenBLAS's `BUFFER_SIZE` where it is largest, and a page that it takes with some kernels.
  static let bytes = 128 << 20 + 4096

  private var threads = 0
  private var buffers = 0

  mutating func addThread() {
    threads += 1
    guard reserve(threads, spare: 0) >= threads else {
      endWithoutMemory(bytes: Self.bytes, for: " for a thread's buffer in OpenBLAS")
    }
  }

  mutating func reserve(_ wanted: Int, spare: Int) -> Int {
    // Only where addresses are limited does asking ever fail.
    guard wanted > buffers, availableAddresses() != nil, let take = Self.take, let giveBack = Self.giveBack else {
      return wanted
    }
    // All at once, or OpenBLAS would hand out the same one again.
    var taken = (0..<buffers).map { _ in take(0) }
    // A thread more than the first also has a stack and a heap, of which the C library takes 128 MB at once.
    while taken.count < wanted, Self.canMap(Self.bytes + (taken.isEmpty ? spare : 4 * spare)) {
      taken.append(take(0))
    }
    buffers = taken.count
    for buffer in taken { giveBack(buffer) }
    return buffers
  }

  private static func canMap(_ bytes: Int) -> Bool {
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), memory != MAP_FAILED
    else {
      return false
    }
    munmap(memory, bytes)
    return true
  }

  // What OpenBLAS's own calls do; no header has them, and a library without them is left alone.
  private static let take = symbol("blas_memory_alloc", as: (@convention(c) (Int32) -> UnsafeMutableRawPointer?).self)
  private static let giveBack = symbol("blas_memory_free", as: (@convention(c) (UnsafeMutableRawPointer?) -> Void).self)

  private static func symbol<Function>(_ name: String, as _: Function.Type) -> Function? {
    dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
  }
}
