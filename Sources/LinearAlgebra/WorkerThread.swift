import Foundation
import Kernels

/// Starts a thread that nobody waits for.
///
/// Not Foundation's `Thread`, which does not say whether it began.
/// - Parameter name: for debuggers; Linux shows 15 characters of it.
/// - Returns: whether there was one to be had. Limits on a user's processes, on a container's tasks or on memory may forbid
///   it, and then the work has to be done by the threads there are.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
  var attributes = pthread_attr_t()
  guard pthread_attr_init(&attributes) == 0 else { return false }
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setstacksize(&attributes, 4 << 20)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  let work = Unmanaged.passRetained(ThreadWork(name: name, body: body))
  #if canImport(Darwin)
    var thread: pthread_t?
    let code = pthread_create(
      &thread, &attributes, { Unmanaged<ThreadWork>.fromOpaque($0).takeRetainedValue().run() }, work.toOpaque())
  #else
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { work in
        if let work { Unmanaged<ThreadWork>.fromOpaque(work).takeRetainedValue().run() }
        return nil
      }, work.toOpaque())
  #endif
  if code != 0 { work.release() }
  return code == 0
}

private final class ThreadWork {
  private let name: String
  private let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) { (self.name, self.body) = (name, body) }

  @discardableResult func run() -> UnsafeMutableRawPointer? {
    covpool_name_thread(name)
    body()
    return nil
  }
}
