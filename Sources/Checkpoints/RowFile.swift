import Files
import Tensors

/// A file that is written row by row, so that a table larger than memory can be made: NumPy's `.npy`, or a safetensors file
/// with one tensor.
public struct RowFile {
  /// The formats, by the file's name.
  public enum Format: String, CaseIterable, Sendable {
    case npy, safetensors

    /// The format that a path's ending names.
    public init?(path: String) { self.init(rawValue: String(path.split(separator: ".").last ?? "").lowercased()) }
  }

  private let output: FileOutput
  private let rowSize: Int
  private var rowsLeft: Int

  /// Writes a table of single precision, beside `path` at first, and renames it when it is complete.
  /// - Parameters:
  ///   - path: the file, which is replaced where there is one.
  ///   - format: of the file.
  ///   - name: of the tensor in a safetensors file.
  ///   - shape: of all rows together; the first extent counts them.
  ///   - metadata: what a safetensors file says beside it.
  ///   - body: adds as many rows as `shape` says.
  /// - Throws: `CheckpointError.unwritable`, or what `body` throws; then there is no file.
  public static func write(
    to path: String, as format: Format, name: String = "features", shape: Shape, metadata: [String: String] = [:],
    _ body: (inout RowFile) throws -> Void
  ) throws {
    do {
      try writeAtomically(to: path) { output in
        switch format {
        case .npy: try output.write(npyHeader(shape))
        case .safetensors:
          try output.write(safetensorsHeader([(name, shape)], metadata: metadata, type: .float32, path: path))
        }
        var file = RowFile(output: output, rowSize: shape.dropFirst().reduce(1, *), rowsLeft: shape.first ?? 0)
        try body(&file)
        check(file.rowsLeft == 0, "\(file.rowsLeft) rows of \(path) were not written")
      }
    } catch let error as FileError { throw CheckpointError.unwritable(path: error.path, reason: error.reason) }
  }

  /// Adds rows: a tensor whose first extent counts them.
  public mutating func add(_ rows: Tensor<Float>) throws {
    check(
      rows.scalarCount == (rows.shape.first ?? 0) * rowSize && (rows.shape.first ?? 0) <= rowsLeft,
      "rows \(rows.shape) of \(rowSize) scalars each, with \(rowsLeft) left")
    rowsLeft -= rows.shape.first ?? 0
    try rows.withUnsafeScalars { try output.write($0, as: .float32) }
  }

  /// NumPy's format, version 1.0: magic, version, length of the header, a Python dictionary padded to 64 bytes.
  private static func npyHeader(_ shape: Shape) -> [UInt8] {
    let extents = shape.map { "\($0)," }.joined(separator: " ")
    var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
    text += String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
    let length = UInt16(text.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
  }
}
