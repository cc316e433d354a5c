import Foundation
@_exported import TestSupport

/// What a run of a tool left behind.
public struct Run: Sendable {
  public var status: Int32
  public var output: String
  public var errors: String

  /// Lines on standard error without those that this machine's environment causes.
  public var errorLines: [Substring] {
    errors.split(separator: "\n").filter {
      !$0.hasPrefix("warning: OpenBLAS") && !$0.hasPrefix("note: this is a debug")
    }
  }
}

/// Runs a tool that is built beside the tests.
public func runTool(_ name: String, _ arguments: [String], limit: Double = 180) throws -> Run {
  let process = Process()
  process.executableURL = toolURL(name)
  process.arguments = arguments
  return try run(process, limit: limit)
}

/// Runs a shell command line; `"$TOOL"` in it is the tool, in quotes like every path, for there may be spaces in it.
public func runShell(_ line: String, tool: String, limit: Double = 180) throws -> Run {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/bin/sh")
  process.arguments = ["-c", line]
  process.environment = ProcessInfo.processInfo.environment.merging(["TOOL": toolURL(tool).path]) { $1 }
  return try run(process, limit: limit)
}

/// Runs zoo-eval.
public func zooEval(_ arguments: String...) throws -> Run { try runTool("zoo-eval", arguments) }

/// Where a tool is that is built beside the tests.
public func toolURL(_ name: String) -> URL {
  URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: name)
}

/// A word of a shell command line, whatever is in it.
public func quoted(_ word: String) -> String { "'" + word.replacingOccurrences(of: "'", with: #"'\''"#) + "'" }

/// A process that did not end in time; it was killed, and its children with it.
public struct TimeLimitExceeded: Error, CustomStringConvertible {
  let command: String
  let seconds: Double
  let run: Run
  public var description: String {
    "\(command) did not end within \(seconds) seconds; output so far: \(run.output.suffix(500)); errors: \(run.errors.suffix(500))"
  }
}

/// Runs a process to its end, or kills it after `limit` seconds.
/// - Throws: `TimeLimitExceeded`.
public func run(_ process: Process, limit: Double = 180) throws -> Run {
  let ended = DispatchSemaphore(value: 0)
  process.terminationHandler = { _ in ended.signal() }
  let (output, errors) = (Stream(), Stream())
  (process.standardOutput, process.standardError) = (output.pipe, errors.pipe)
  try process.run()
  output.read()
  errors.read()
  let deadline = DispatchTime.now() + limit
  // Whoever holds the streams open, a child that was left behind too, is waited for.
  let isOver =
    ended.wait(timeout: deadline) == .success && output.isComplete(by: deadline) && errors.isComplete(by: deadline)
  if !isOver { end(process) }
  let run = Run(status: process.isRunning ? -1 : process.terminationStatus, output: output.text, errors: errors.text)
  guard isOver else {
    let command = ([process.executableURL?.lastPathComponent ?? ""] + (process.arguments ?? [])).joined(separator: " ")
    throw TimeLimitExceeded(command: command, seconds: limit, run: run)
  }
  return run
}

/// Kills a process and the group that it leads.
private func end(_ process: Process) {
  let id = process.processIdentifier
  if getpgid(0) != id { kill(-id, SIGKILL) }
  if process.isRunning { kill(id, SIGKILL) }
}

/// One output stream of a process, read while it runs: a pipe that is full would stop it.
private final class Stream: @unchecked Sendable {
  let pipe = Pipe()
  private let lock = NSLock()
  private let done = DispatchSemaphore(value: 0)
  private var data = Data()

  func read() {
    let file = pipe.fileHandleForReading
    Thread.detachNewThread { [self] in
      while case let part = file.availableData, !part.isEmpty { lock.withLock { data += part } }
      done.signal()
    }
  }

  func isComplete(by deadline: DispatchTime) -> Bool { done.wait(timeout: deadline) == .success }

  var text: String { lock.withLock { String(decoding: data, as: UTF8.self) } }
}
