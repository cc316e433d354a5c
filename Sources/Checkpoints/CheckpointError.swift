import Foundation

/// Why a checkpoint cannot be read or written. Every case names the file, and its description is one line.
public enum CheckpointError: Error, Sendable, Equatable {
  /// The file cannot be opened, is not a regular file, or is empty.
  case unreadable(path: String, reason: String)
  /// The content is no checkpoint of a known container.
  case unrecognized(path: String, found: String)
  /// The content contradicts its own format: truncated, damaged or made to mislead.
  case malformed(path: String, reason: String)
  /// The content is valid, but of a kind that is not read.
  case unsupported(path: String, reason: String)
  /// The pickle names a global that is not on the allow-list, as `module.name`. Nothing was executed.
  case forbiddenGlobal(path: String, global: String)
  /// The file was read, but holds no dictionary of tensors.
  case noStateDict(path: String, found: String)
  /// The tensors' numbers cannot be had as asked: integers of a floating-point tensor, integers beyond `Int64`.
  case conversion(path: String, tensor: String, reason: String)
  /// The file cannot be written; nothing was left behind, and an older file of that name is untouched.
  case unwritable(path: String, reason: String)
}

extension CheckpointError: CustomStringConvertible {
  /// The file and what is wrong with it, in one line.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .unrecognized(let path, let found):
      "\(path): not a checkpoint: expected PyTorch (zip or legacy), MindSpore or safetensors, found \(found)"
    case .malformed(let path, let reason): "\(path): damaged checkpoint: \(reason)"
    case .unsupported(let path, let reason): "\(path): unsupported checkpoint: \(reason)"
    case .forbiddenGlobal(let path, let global):
      "\(path): its pickle names the global '\(global)', which a state dict does not need, so the file is refused and "
        + "nothing of it was executed; if it holds a whole pickled module, save the module's state_dict() instead"
    case .noStateDict(let path, let found): "\(path): no state dict (a dictionary of named tensors): found \(found)"
    case .conversion(let path, let tensor, let reason): "\(path): tensor '\(tensor)': \(reason)"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    }
  }
}

/// A name from a file for an error's description, in quotes.
func quoted(_ name: String) -> String { "'\(printable(name))'" }

/// A name from a file as it can be shown: on one line, and not too long.
func printable(_ name: String) -> String {
  let limit = 100
  var shown = ""
  for scalar in name.unicodeScalars.prefix(limit) { shown += scalar.escaped(asASCII: false) }
  return name.unicodeScalars.dropFirst(limit).isEmpty ? shown : shown + "…"
}

extension CheckpointError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
