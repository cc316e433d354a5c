import ArgumentParser
import Foundation
import Synchronization

/// SIGINT and SIGTERM, which end a run after its current step.
enum StopSignal {
  private static let raised = Atomic<Int32>(0)

  /// From here on the signals are noted; the second of a kind ends the process at once.
  static func listen() {
    _ = raised.load(ordering: .relaxed)  // made here, not in the handler
    // Whoever started this process may have blocked them.
    var both = sigset_t()
    sigemptyset(&both)
    for kind in [SIGINT, SIGTERM] { sigaddset(&both, kind) }
    pthread_sigmask(SIG_UNBLOCK, &both, nil)
    for kind in [SIGINT, SIGTERM] {
      signal(kind) { kind in
        StopSignal.raised.store(kind, ordering: .relaxed)
        signal(kind, SIG_DFL)
      }
    }
  }

  static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }

  /// As shells expect it of a process that a signal ended.
  static var exitCode: ExitCode { ExitCode(128 + raised.load(ordering: .relaxed)) }
}
