import ArgumentParser
import Files
import Foundation

/// What every tool's `main` does: arguments whose bytes need not be UTF-8, streams that may be closed, help and errors
/// that are delivered or not, and the exit status that says which.
public enum ToolMain {
  /// Runs a command with the program's arguments and ends the process.
  public static func run<Command: ParsableCommand>(_: Command.Type) -> Never {
    claimStandardStreams()
    // A reader that goes away must not end the process before files are written; it ends quietly afterwards, as shells
    // expect it, unless whoever started it had the signal ignored.
    let endsQuietly = signal(SIGPIPE, SIG_IGN).map { unsafeBitCast($0, to: Int.self) } ?? 0 == 0
    // A file that may not grow is an error of writing too.
    signal(SIGXFSZ, SIG_IGN)
    let status = status(of: Command.self, endsQuietly: endsQuietly)
    if status == brokenPipe {
      signal(SIGPIPE, SIG_DFL)
      raise(SIGPIPE)
    }
    exit(status)
  }

  private static let brokenPipe: Int32 = -1

  private static func status<Command: ParsableCommand>(of _: Command.Type, endsQuietly: Bool) -> Int32 {
    do {
      try Resources.checkAddresses()
      var command = try Command.parseAsRoot(programArguments())
      try command.run()
      return EXIT_SUCCESS
    } catch let error as OutputError where error.isBrokenPipe && endsQuietly {
      return brokenPipe
    } catch {
      let code = Command.exitCode(for: error)
      let message = Command.fullMessage(for: error)
      guard !message.isEmpty else { return code.rawValue }
      switch code {
      case .success:  // help, a version, a script for a shell: these are results
        do { try Output.deliver(message + "\n") } catch {
          if error.isBrokenPipe && endsQuietly { return brokenPipe }
          Output.fail(error.description)
          return EXIT_FAILURE
        }
      case .validationFailure: Output.standardError(message)
      default: Output.fail("\(error)")
      }
      return code.rawValue
    }
  }

  /// A standard stream that was closed when the program began would be the number of the next file that is opened, and a
  /// message would be written into it. Something that cannot be written takes its place.
  private static func claimStandardStreams() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) == -1 && errno == EBADF {
      // The lowest free number is the stream's own, since those below it are open by now.
      _ = open("/dev/null", O_RDONLY)
    }
  }
}
