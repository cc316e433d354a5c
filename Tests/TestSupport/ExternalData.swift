import Foundation

/// A file or directory of data that is not in the repository, below the directory that `COVPOOL_TEST_DATA` names; `nil` where
/// it is not there. `Tests/README.md` lists what is looked for.
public func externalData(_ path: String) -> URL? {
  guard let root = ProcessInfo.processInfo.environment["COVPOOL_TEST_DATA"], !root.isEmpty else { return nil }
  let url = URL(fileURLWithPath: root).appending(path: path)
  return FileManager.default.fileExists(atPath: url.path) ? url : nil
}
