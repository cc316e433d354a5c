import CZlib
import Files
import Foundation

/// MNIST's and Fashion-MNIST's files: `t10k-images-idx3-ubyte` and its labels, plain or as `.gz`.
public struct IDXDataset: Dataset {
  public let summary: String
  private let file: String
  private let pixels: [UInt8]
  private let labels: [UInt8]?
  private let (width, height): (Int, Int)

  /// Reads images, and labels if there is a file of them.
  /// - Throws: `DatasetError` where a header or a length is wrong.
  public init(images: String, labels: String?) throws(DatasetError) {
    let (shape, pixels) = try Self.read(images, rank: 3)
    (height, width) = (shape[1], shape[2])
    self.pixels = pixels
    file = images.lastPathComponent
    if let labels {
      let (count, values) = try Self.read(labels, rank: 1)
      guard count[0] == shape[0] else {
        throw .malformed(labels, reason: "\(count[0]) labels for \(shape[0]) images")
      }
      self.labels = values
    } else {
      self.labels = nil
    }
    summary = "\(images): \(shape[0]) images of \(width)×\(height)" + (labels == nil ? ", no labels" : "")
  }

  public var classNames: [String]? { nil }

  public var count: Int { width * height == 0 ? 0 : pixels.count / (width * height) }

  public func label(_ index: Int) -> Int? { labels.map { Int($0[index]) } }

  public func path(_ index: Int) -> String { "\(file)#\(index)" }

  public func image(_ index: Int) throws -> Image {
    let size = width * height
    return Image(
      width: width, height: height, pixels: pixels[index * size..<(index + 1) * size].flatMap { [$0, $0, $0] })
  }

  /// The files of a split in a directory, if they are there.
  static func files(in directory: String, _ split: Split) -> (images: String, labels: String?)? {
    let prefix = split == .train ? "train" : "t10k"
    func find(_ name: String) -> String? {
      [name, name.replacing("-idx", with: ".idx")].flatMap { [$0, $0 + ".gz"] }.map { directory + "/" + $0 }.first {
        fileKind($0) != nil
      }
    }
    return find("\(prefix)-images-idx3-ubyte").map { ($0, find("\(prefix)-labels-idx1-ubyte")) }
  }

  /// Header: two zero bytes, 8 for bytes, the rank, then each extent in four bytes, the most significant first.
  private static func read(_ path: String, rank: Int) throws(DatasetError) -> (shape: [Int], values: [UInt8]) {
    let descriptor: Int32
    do { descriptor = try openRegularFile(path).descriptor } catch {
      throw .malformed(path, reason: "cannot be read: \(error.reason)")
    }
    guard let file = gzdopen(descriptor, "rb") else {
      close(descriptor)
      throw .malformed(path, reason: "cannot be read: out of memory")
    }
    defer { gzclose(file) }
    /// The next bytes; `nil` where the file has fewer left.
    func next(_ count: Int) throws(DatasetError) -> [UInt8]? {
      var (bytes, filled) = ([UInt8](), 0)
      // In pieces, so that a header that lies takes no memory.
      while filled < count {
        let piece = min(count - filled, 1 << 22)
        bytes += [UInt8](repeating: 0, count: piece)
        let got = bytes.withUnsafeMutableBytes { gzread(file, $0.baseAddress! + filled, UInt32(piece)) }
        if got != piece {
          // An end in the middle of a compressed file, a wrong check sum, a disk that fails: what zlib says of it.
          var code: Int32 = 0
          let text = gzerror(file, &code).map { String(cString: $0) } ?? ""
          guard code == Z_OK else {
            let reason = text.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "\(code)"
            throw .malformed(path, reason: "cannot be uncompressed: \(reason)")
          }
          return nil
        }
        filled += piece
      }
      return bytes
    }
    guard let magic = try next(4) else { throw .malformed(path, reason: "shorter than an IDX header") }
    guard magic[0] == 0, magic[1] == 0, magic[2] == 8, magic[3] == rank else {
      throw .malformed(path, reason: "not an IDX file of bytes with \(rank) axes: it starts with \(magic)")
    }
    guard let extents = try next(4 * rank) else { throw .malformed(path, reason: "shorter than an IDX header") }
    let shape = (0..<rank).map { axis in extents[4 * axis..<4 * axis + 4].reduce(0) { $0 << 8 | Int($1) } }
    var count = 1
    for extent in shape {
      let (product, overflows) = count.multipliedReportingOverflow(by: extent)
      guard !overflows, product <= 1 << 34, rank == 1 || extent > 0 else {
        throw .malformed(path, reason: "the header asks for \(shape.map(String.init).joined(separator: "×")) bytes")
      }
      count = product
    }
    guard let values = try next(count) else {
      throw .malformed(path, reason: "shorter than the \(count) bytes that its header asks for")
    }
    guard try next(1) == nil else {
      throw .malformed(path, reason: "longer than the \(count) bytes its header asks for")
    }
    return (shape, values)
  }
}

/// CIFAR-10's binary files: records of a label and 3 × 32 × 32 bytes.
public struct CIFAR10Binary: Dataset {
  public let classNames: [String]?
  public let summary: String
  private static let recordSize = 1 + 3 * 32 * 32
  private var records: [UInt8] = []
  private var files: [(name: String, first: Int)] = []

  /// Reads these files of a directory, in this order.
  /// - Throws: `DatasetError` where a file is not a whole number of records or a label is not a class.
  init(_ names: [String], in directory: String) throws(DatasetError) {
    for name in names {
      let path = directory + "/" + name
      let data: Data
      do { data = try readFile(path) } catch { throw .malformed(path, reason: "cannot be read: \(error.reason)") }
      guard !data.isEmpty, data.count % Self.recordSize == 0 else {
        throw .malformed(path, reason: "\(data.count) bytes are not a whole number of records of \(Self.recordSize)")
      }
      files.append((name, records.count / Self.recordSize))
      records += data
    }
    for index in stride(from: 0, to: records.count, by: Self.recordSize) where records[index] > 9 {
      throw .malformed(directory, reason: "record \(index / Self.recordSize) has label \(records[index]), not 0 to 9")
    }
    let text = try? readFile(directory + "/batches.meta.txt", limit: 1 << 20)
    let lines = text.map { String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init) }
    classNames = lines?.count == 10 ? lines : nil
    summary = "\(directory): \(records.count / Self.recordSize) images of CIFAR-10"
  }

  public var count: Int { records.count / Self.recordSize }

  public func label(_ index: Int) -> Int? { Int(records[index * Self.recordSize]) }

  public func path(_ index: Int) -> String {
    let file = files.last { $0.first <= index } ?? files[0]
    return "\(file.name)#\(index - file.first)"
  }

  public func image(_ index: Int) throws -> Image {
    let start = index * Self.recordSize + 1
    let pixels = (0..<32 * 32).flatMap { pixel in (0..<3).map { records[start + $0 * 32 * 32 + pixel] } }
    return Image(width: 32, height: 32, pixels: pixels)
  }

  /// The files of a split in a directory, if they are there.
  static func files(in directory: String, _ split: Split) -> [String]? {
    let wanted = split == .train ? (1...5).map { "data_batch_\($0).bin" } : ["test_batch.bin"]
    let found = wanted.filter { fileKind(directory + "/" + $0) != nil }
    return found.isEmpty ? nil : found
  }
}
