import Console
import Files
import ModelZoo

/// The files that a command would write, looked at before work begins.
struct OutputFiles {
  private let outputs: [(option: String, path: String)]
  private let inputs: [(option: String, path: String)]
  private let data: String?
  private let results, steps: String?

  init(_ options: ZooEval) {
    func named(_ option: String, _ path: String?) -> [(option: String, path: String)] {
      path.map { [(option, $0)] } ?? []
    }
    outputs =
      (named("--predictions", options.predictions) + named("--results", options.results)
      + named("--features", options.features) + named("--confusion", options.confusion)).filter { $0.path != "-" }
    inputs =
      named("--checkpoint", options.checkpoint) + named("--labels", options.labels)
      + options.images.map { ("an image", $0) }
    data = options.data
    (results, steps) = options.explain ? (nil, options.results) : (options.results, nil)
  }

  /// - Throws: `UsageError` where an output is an input too, `FileError` where it could not be written.
  func check() throws {
    for output in outputs {
      if let input = inputs.first(where: { isSameFile($0.path, output.path) }) {
        throw UsageError("\(output.option) and \(input.option) are the same file: \(output.path)")
      }
      if let data, fileKind(output.path) == .regular, isDataFile(output.path.lastPathComponent),
        isInside(output.path, data)
      {
        throw UsageError("\(output.option) would overwrite a file of the data: \(output.path)")
      }
      try checkWritable(output.path)
    }
    if let results, ResultsFormat(path: results) == .csv { try Results.checkTable(results) }
    if let steps, ResultsFormat(path: steps) == .csv { try Explanation.checkTable(steps) }
  }

  /// Whether a file lies in a directory, at any depth, whatever names lead to it.
  private func isInside(_ path: String, _ directory: String) -> Bool {
    guard let wanted = fileIdentity(directory) else { return false }
    var place = path.parentDirectory
    for _ in 0..<64 {
      guard let identity = fileIdentity(place) else { return false }
      if identity == wanted { return true }
      guard identity != fileIdentity("/") else { return false }
      place += "/.."
    }
    return false
  }
}
