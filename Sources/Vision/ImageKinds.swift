import Files

/// Kinds of pictures by the names of their files; what a file is its content decides.
enum ImageKinds {
  /// Extensions of the kinds that are read.
  static let readable: Set<String> = ["jpg", "jpeg", "jpe", "jfif", "png", "webp"]
  /// The kinds that are read, for messages.
  static let readableText = "JPEG, PNG and WebP"
  /// Extensions of kinds that other programs take for images and that are not read.
  static let others: Set<String> = [
    "ppm", "pgm", "pbm", "pnm", "bmp", "tif", "tiff", "gif", "heic", "heif", "avif", "jp2", "jxl", "tga", "ico",
    "dng", "cr2", "nef", "arw",
  ]

  /// What follows a name's last dot, in lower case.
  static func fileExtension(_ name: String) -> String {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return "" }
    return String(name[name.utf8.index(after: dot)...]).lowercased()
  }

  /// What a file that is none of the readable kinds looks like, by its first bytes.
  static func description(of bytes: UnsafeRawBufferPointer) -> String? {
    func begins(_ text: String, at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: text.utf8) }
    if begins("GIF8") { return "a GIF" }
    if begins("BM") { return "a BMP" }
    if begins("II*\0") || begins("MM\0*") { return "a TIFF" }
    if begins("ftyp", at: 4) { return begins("avi", at: 8) ? "an AVIF" : "a HEIC or a film" }
    if begins("P") && bytes.count > 2 && (0x31...0x37).contains(bytes[1]) { return "a PPM or PGM" }
    if begins("<") { return "a text such as the HTML page of a failed download" }
    if begins("version https://git-lfs") { return "a pointer of Git LFS, whose file was not fetched" }
    return nil
  }

  static func isReadable(_ name: String) -> Bool { readable.contains(fileExtension(name)) }
}

/// Whether a file of this name, in the directory of a data set, holds images or labels of it.
package func isDataFile(_ name: String) -> Bool {
  ImageKinds.isReadable(name) || name.hasSuffix(".bin") || name.contains("-ubyte") || name == "batches.meta.txt"
}

/// The images below a folder, and those of kinds that are not read.
struct ImageListing {
  /// Paths below the root, each folder's files before its folders, as Python's sorted `walk`.
  private(set) var paths: [String] = []
  /// How many files of each extension are left out.
  private(set) var leftOut: [String: Int] = [:]
  /// Real folders that were looked into, so that links that lead back to one end there.
  private var visited: Set<FileIdentity> = []

  /// Lists a folder below `root`, or `root` itself.
  /// - Parameter isDeep: whether folders in it are entered.
  init(_ root: String, folder: String? = nil, isDeep: Bool) {
    if let identity = fileIdentity(root) { visited.insert(identity) }
    add(root, folder, isDeep: isDeep)
  }

  private mutating func add(_ root: String, _ folder: String?, isDeep: Bool) {
    let (place, prefix) = (folder.map { root + "/" + $0 } ?? root, folder.map { $0 + "/" } ?? "")
    if folder != nil {
      guard let identity = fileIdentity(place), visited.insert(identity).inserted else { return }
    }
    var folders: [String] = []
    for name in entries(of: place) {
      if isDirectory(place + "/" + name) {
        folders.append(name)
      } else if ImageKinds.isReadable(name) {
        paths.append(prefix + name)
      } else if ImageKinds.others.contains(ImageKinds.fileExtension(name)) {
        leftOut[ImageKinds.fileExtension(name), default: 0] += 1
      }
    }
    guard isDeep else { return }
    for name in folders { add(root, prefix + name, isDeep: true) }
  }

  /// `3 .bmp, 1 .tiff`; `nil` where nothing is left out.
  static func text(_ leftOut: [String: Int]) -> String? {
    leftOut.isEmpty ? nil : leftOut.sorted { $0.key < $1.key }.map { "\($0.value) .\($0.key)" }.joined(separator: ", ")
  }

  /// What the user is told of what is left out.
  static func warnings(_ leftOut: [String: Int], in place: String) -> [String] {
    text(leftOut).map { ["\(place): left out: \($0) (\(ImageKinds.readableText) are read)"] } ?? []
  }
}
