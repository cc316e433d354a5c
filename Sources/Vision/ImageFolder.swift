import Files
import Foundation

/// A folder for each class, its images in it at any depth: torchvision's `ImageFolder`.
public struct ImageFolder: Dataset {
  public let classNames: [String]?
  /// The directory of the data set.
  public let directory: String
  /// The directory that holds the class folders: a part of `directory`, or itself.
  public let root: String
  private var paths: [String] = []
  private var labels: [Int] = []
  public let labelKind: LabelKind
  public private(set) var warnings: [String] = []

  /// Opens a directory of class folders.
  /// - Parameters:
  ///   - directory: where they are.
  ///   - part: a folder in the directory that holds the class folders; paths begin with it.
  ///   - wordNetIndex: the index of each WordNet identifier, used if every folder is called by one, alone or before a name
  ///     (`n02085620-Chihuahua`).
  ///   - known: classes whose positions are the labels, if every folder is called like one.
  ///   - takesMixed: whether folders are numbered where some are called like classes and others are not, with a warning.
  /// - Throws: `DatasetError` where there are no folders, one of them holds no image, or some are called like classes and
  ///   others are not.
  public init(
    _ directory: String, part: String? = nil, wordNetIndex: [String: Int] = [:], classNames known: [String]? = nil,
    takesMixed: Bool = false
  ) throws(DatasetError) {
    self.directory = directory
    let root = part.map { directory + "/" + $0 } ?? directory
    self.root = root
    let names = subdirectories(of: root)
    guard !names.isEmpty else { throw .empty(root) }
    let classes = try ClassLabels(
      of: names, in: root, wordNetIndex: wordNetIndex, known: known ?? [], takesMixed: takesMixed)
    labelKind = classes.kind
    classNames = names
    var empty: [String] = []
    var leftOut: [String: Int] = [:]
    for (name, label) in zip(names, classes.labels) {
      let found = ImageListing(directory, folder: part.map { $0 + "/" + name } ?? name, isDeep: true)
      if found.paths.isEmpty { empty.append(name) }
      paths += found.paths
      labels += [Int](repeating: label, count: found.paths.count)
      leftOut.merge(found.leftOut, uniquingKeysWith: +)
    }
    if empty.count == names.count {
      if let text = ImageListing.text(leftOut) { throw .otherKinds(root, found: text) }
      throw .empty(root)
    }
    guard empty.isEmpty else { throw .emptyClasses(root, names: empty) }
    warnings = ImageListing.warnings(leftOut, in: root) + [classes.warning].compactMap { $0 }
  }

  public var count: Int { paths.count }

  public var summary: String {
    "\(root): \(count) images in \(classNames?.count ?? 0) folders, labels are \(labelKind.rawValue)"
  }

  public func label(_ index: Int) -> Int? { labels[index] }

  public func path(_ index: Int) -> String { paths[index] }

  public func image(_ index: Int) throws -> Image { try Image(contentsOf: directory + "/" + paths[index]) }
}

/// Images in one folder, with labels from a file or none.
public struct FlatFolder: Dataset {
  /// The directory.
  public let directory: String
  public let warnings: [String]
  private let names: [String]
  private let labels: [Int]?

  /// Opens a folder of images.
  /// - Parameters:
  ///   - directory: the folder.
  ///   - path: a file with one integer a line, for the images in sorted order; blank lines at its end are ignored.
  /// - Throws: `DatasetError` where there is no image, or the labels do not fit.
  public init(_ directory: String, labels path: String? = nil) throws(DatasetError) {
    self.directory = directory
    let listing = ImageListing(directory, isDeep: false)
    names = listing.paths
    if names.isEmpty, let text = ImageListing.text(listing.leftOut) { throw .otherKinds(directory, found: text) }
    guard !names.isEmpty else { throw .empty(directory) }
    warnings = ImageListing.warnings(listing.leftOut, in: directory)
    let count = names.count
    labels = try path.map { path throws(DatasetError) in try Self.readLabels(path, count: count) }
  }

  public var classNames: [String]? { nil }

  public var labelKind: LabelKind { labels == nil ? .none : .given }

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
