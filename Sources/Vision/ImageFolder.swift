import Files
import Foundation

/// Extensions of files that are taken for images, as in torchvision; the content decides whether they are.
private let imageExtensions: Set<String> = [
  "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
]

private func isImageName(_ name: String) -> Bool {
  guard let dot = name.lastIndex(of: ".") else { return false }
  return imageExtensions.contains(name[name.index(after: dot)...].lowercased())
}

/// A folder for each class, its images in it at any depth: torchvision's `ImageFolder`.
public struct ImageFolder: Dataset {
  public let classNames: [String]?
  /// The directory of the data set.
  public let directory: String
  /// The directory that holds the class folders: a part of `directory`, or itself.
  public let root: String
  private var paths: [String] = []
  private var labels: [Int] = []
  /// Whether labels are ImageNet's indices.
  public let hasWordNetLabels: Bool
  private let labelKind: String

  /// Opens a directory of class folders.
  /// - Parameters:
  ///   - part: a folder in the directory that holds the class folders; paths begin with it.
  ///   - wordNetIndex: the index of each WordNet identifier, used if every folder is called by one.
  ///   - known: classes whose positions are the labels, if every folder is called like one.
  /// - Throws: `DatasetError` where there are no folders or one of them holds no image.
  public init(
    _ directory: String, part: String? = nil, wordNetIndex: [String: Int] = [:], classNames known: [String]? = nil
  ) throws(DatasetError) {
    self.directory = directory
    let root = part.map { directory + "/" + $0 } ?? directory
    self.root = root
    let names = subdirectories(of: root)
    guard !names.isEmpty else { throw .empty(root) }
    let areWordNet = names.allSatisfy { wordNetIndex[$0] != nil }
    hasWordNetLabels = areWordNet
    let positions = Dictionary((known ?? []).enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    let areKnown = !areWordNet && names.allSatisfy { positions[$0] != nil }
    labelKind =
      areWordNet ? "ImageNet's" : areKnown ? "the network's classes" : "positions of the sorted folder names"
    classNames = names
    var empty: [String] = []
    for (position, name) in names.enumerated() {
      let found = Self.images(in: directory, part.map { $0 + "/" + name } ?? name)
      if found.isEmpty { empty.append(name) }
      paths += found
      let label = areWordNet ? wordNetIndex[name] : areKnown ? positions[name] : position
      labels += [Int](repeating: label ?? position, count: found.count)
    }
    guard empty.count < names.count else { throw .empty(root) }
    guard empty.isEmpty else { throw .emptyClasses(root, names: empty) }
  }

  public var count: Int { paths.count }

  public var summary: String {
    "\(root): \(count) images in \(classNames?.count ?? 0) folders, labels are \(labelKind)"
  }

  public func label(_ index: Int) -> Int? { labels[index] }

  public func path(_ index: Int) -> String { paths[index] }

  public func image(_ index: Int) throws -> Image { try Image(contentsOf: directory + "/" + paths[index]) }

  /// Relative paths of the images below a folder, each folder's files before its folders, as Python's sorted `walk`.
  private static func images(in root: String, _ folder: String, depth: Int = 0) -> [String] {
    let names = entries(of: root + "/" + folder)
    let folders = names.filter { isDirectory("\(root)/\(folder)/\($0)") }
    let files = names.filter { isImageName($0) && !folders.contains($0) }.map { folder + "/" + $0 }
    // A link to a folder above would never end.
    guard depth < 16 else { return files }
    return files + folders.flatMap { images(in: root, folder + "/" + $0, depth: depth + 1) }
  }
}

/// Images in one folder, with labels from a file or none.
public struct FlatFolder: Dataset {
  /// The directory.
  public let directory: String
  private let names: [String]
  private let labels: [Int]?

  /// Opens a folder of images.
  /// - Parameter labels: a file with one integer a line, for the images in sorted order; blank lines at its end are
  ///   ignored.
  /// - Throws: `DatasetError` where there is no image, or the labels do not fit.
  public init(_ directory: String, labels path: String? = nil) throws(DatasetError) {
    self.directory = directory
    let names = entries(of: directory).filter { isImageName($0) && !isDirectory(directory + "/" + $0) }
    guard !names.isEmpty else { throw .empty(directory) }
    self.names = names
    labels = try path.map { path throws(DatasetError) in try Self.readLabels(path, count: names.count) }
  }

  public var classNames: [String]? { nil }

  public var count: Int { names.count }

  public var summary: String { "\(directory): \(count) images, \(labels == nil ? "no labels" : "labels from a file")" }

  public func label(_ index: Int) -> Int? { labels?[index] }

  public func path(_ index: Int) -> String { names[index] }

  public func image(_ index: Int) throws -> Image { try Image(contentsOf: directory + "/" + names[index]) }

  private static func readLabels(_ path: String, count: Int) throws(DatasetError) -> [Int] {
    let data: Data
    do { data = try readStream(path) } catch { throw .labels(path, reason: "cannot be read: \(error.reason)") }
    let text = String(decoding: data, as: UTF8.self)
    var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    while lines.last == "" { lines.removeLast() }
    var labels: [Int] = []
    for (number, line) in lines.enumerated() {
      guard let label = Int(line), label >= 0 else {
        throw .labels(path, reason: "line \(number + 1) is no class index: '\(line.prefix(40))'")
      }
      labels.append(label)
    }
    guard labels.count == count else {
      throw .labels(path, reason: "\(labels.count) labels for \(count) images")
    }
    return labels
  }
}
