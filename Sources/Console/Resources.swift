import LinearAlgebra

/// What a tool asks of the machine, as far as there is that much.
public enum Resources {
  /// Starts the threads that were asked for, by default one for each processor, and says where there are fewer.
  /// - Throws: where memory is limited so that not even one can work.
  public static func useThreads(_ wanted: Int?) throws {
    let pool = WorkerPool.shared
    if let wanted {
      pool.width = wanted
      if wanted > pool.width {
        Output.standardError(
          "note: \(pool.width) threads instead of \(wanted): no more than that make sense on this machine")
      }
    }
    let width = pool.width
    pool.width = min(width, try reserveBLASBuffers(threads: width, spare: leastAddresses))
    let started = pool.start()
    if started < width {
      Output.warn("the system's limits allow for \(started) of \(width) threads; it takes longer with those")
    }
  }

  /// Room for the many small pieces of memory that are not asked for one by one.
  private static let leastAddresses = 64 << 20

  /// Asks whether the limits on memory leave room to begin at all.
  /// - Throws: `UsageError`.
  static func checkAddresses() throws {
    guard let available = availableAddresses(), available < leastAddresses else { return }
    throw UsageError(
      "out of memory: the limit (ulimit -v or -d) leaves \(sizeText(available)), and at least \(sizeText(leastAddresses)) are "
        + "needed to begin; raise it")
  }
}

/// Stands in for the function by which OpenBLAS makes its threads when it is loaded, before any line of a tool runs.
///
/// The tools' calls run on the threads that make them, so its threads would do nothing, but each takes a buffer, and where the
/// limits on memory or threads do not allow for that the process would hang or end. A program's own function of a name comes
/// before a shared library's; a BLAS without such a function is not affected. It must not use Swift's runtime, which is not
/// ready by then.
@_cdecl("blas_thread_init")
public func makeNoThreadsForBLAS() -> Int32 { 0 }
