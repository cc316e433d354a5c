import Foundation

/// Why training cannot begin or go on. Every description is one line.
public enum TrainingError: Error, CustomStringConvertible {
  /// A file or directory cannot be written.
  case cannotWrite(String, String)
  /// A checkpoint that training cannot go on from.
  case notResumable(String, String)
  /// The directory holds another run.
  case directoryInUse(String)
  /// Another process trains in the directory.
  case directoryLocked(String, holder: String)
  /// A file of somebody else's stands where the run would write.
  case foreignFile(String)
  /// Settings that differ from those of the run that is to be resumed.
  case otherSettings(String)
  /// Data that the network cannot learn from, or other data than the run began with.
  case data(String)
  /// A number that is not finite: where in the run, and which tensor.
  case notFinite(epoch: Int, step: Int, tensor: String)

  public var description: String {
    switch self {
    case .cannotWrite(let path, let reason): "\(path): cannot be written: \(reason)"
    case .notResumable(let path, let reason): "\(path): cannot be resumed: \(reason)"
    case .directoryInUse(let directory):
      "\(directory): holds a run already; --resume it, or choose another --output"
    case .directoryLocked(let directory, let holder):
      "\(directory): another run is going on there (\(holder)); wait for its end, or choose another --output"
    case .foreignFile(let path):
      "\(path): is not of this run and would be overwritten; move it away, or choose another --output"
    case .otherSettings(let what): what
    case .data(let what): what
    case .notFinite(let epoch, let step, let tensor):
      "epoch \(epoch), step \(step): \(tensor) is not finite; the last good checkpoint is kept"
    }
  }
}

extension TrainingError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
