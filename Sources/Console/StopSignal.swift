import ArgumentParser
import Foundation
import Synchronization

/// The signals that ask a long run to end after what it is doing: SIGINT, SIGTERM, and SIGHUP, which a terminal that goes
/// away sends.
package enum StopSignal {
  private static let raised = Atomic<Int32>(0)

  /// From here on the signals are noted; the second of a kind ends the process at once. One that whoever started the
  /// process had ignored (`nohup`) stays ignored.
  package static func listen() {
    _ = raised.load(ordering: .relaxed)  // made here, not in the handler
    let kinds = [SIGINT, SIGTERM, SIGHUP].filter { !isIgnored($0) }
    // Whoever started this process may have blocked them.
    var all = sigset_t()
    sigemptyset(&all)
    for kind in kinds { sigaddset(&all, kind) }
    pthread_sigmask(SIG_UNBLOCK, &all, nil)
    for kind in kinds {
      signal(kind) { kind in
        StopSignal.raised.store(kind, ordering: .relaxed)
        signal(kind, SIG_DFL)
      }
    }
  }

  package static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }

  /// As shells expect it of a process that a signal ended.
  package static var exitCode: ExitCode { ExitCode(128 + raised.load(ordering: .relaxed)) }

  private static func isIgnored(_ kind: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(kind, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
