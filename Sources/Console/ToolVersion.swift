import LinearAlgebra

/// What `--version` says.
public enum ToolVersion {
  /// The package's version.
  package static let number = "0.9.0"

  /// Version, the commit that the tool was built from, and the BLAS that it runs with.
  public static func text(of tool: String) -> String {
    let blas = BLASInfo.current
    return "\(tool) \(number) (commit \(builtCommit)), \(blas.library) \(blas.version), kernel \(blas.kernel)"
  }
}
