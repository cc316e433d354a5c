import Files
import Foundation

/// Images in a fixed order, with or without labels.
public protocol Dataset: Sendable {
  /// The number of images.
  var count: Int { get }
  /// The names of the classes, where there are any.
  var classNames: [String]? { get }
  /// One line that says what this is: kind, place, images, classes.
  var summary: String { get }
  /// What labels are.
  var labelKind: LabelKind { get }
  /// What the user should know: files that are left out, folders that were not recognised.
  var warnings: [String] { get }
  /// The right class of an image, from 0, if known.
  func label(_ index: Int) -> Int?
  /// An image's path within the data set, or what stands for it.
  func path(_ index: Int) -> String
  /// An image's pixels. Called from several threads at once.
  func image(_ index: Int) throws -> Image
}

extension Dataset {
  public var labelKind: LabelKind { count > 0 && label(0) != nil ? .given : .none }
  public var warnings: [String] { [] }
}

/// Which part of a data set.
public enum Split: String, Sendable {
  /// What networks learn from.
  case train
  /// What they are judged by.
  case test
}

/// Why a data set could not be opened.
public enum DatasetError: Error, CustomStringConvertible, Sendable, Equatable {
  /// Nothing is there, or it is no directory.
  case notADirectory(String)
  /// Some class folders are called like classes and others are not.
  case mixedClasses(String, reason: String)
  /// Images of no kind that is read.
  case otherKinds(String, found: String)
  /// No image or data file of any known kind.
  case empty(String)
  /// Class folders without an image.
  case emptyClasses(String, names: [String])
  /// A file's content is not what its kind asks for.
  case malformed(String, reason: String)
  /// A label file that does not fit.
  case labels(String, reason: String)
  /// A directory with parts, without the one asked for.
  case missingPart(String, names: [String])

  public var description: String {
    switch self {
    case .notADirectory(let path):
      switch fileKind(path) {
      case nil: "\(path): no such directory"
      default: "\(path): is a file, expected a directory of images"
      }
    case .mixedClasses(let path, let reason):
      "\(path): \(reason): rename or move what is no class, or number the folders in their sorted order if that is how "
        + "the network was trained (zoo-eval --sorted-labels)"
    case .otherKinds(let path, let found):
      "\(path): holds no image that can be read: \(found); \(ImageKinds.readableText) are read"
    case .empty(let path):
      "\(path): holds neither images, folders of images, IDX files nor CIFAR-10's binary files"
    case .emptyClasses(let path, let names):
      "\(path): no image in \(names.count == 1 ? "folder" : "\(names.count) folders, among them") \(names[0])"
    case .malformed(let path, let reason): "\(path): \(reason)"
    case .labels(let path, let reason): "\(path): \(reason)"
    case .missingPart(let path, let names): "\(path): has no folder \(names.joined(separator: " or "))"
    }
  }
}

/// Opens the images in a directory, whatever their kind: IDX files (MNIST, Fashion-MNIST), CIFAR-10's binary files, a
/// folder for each class, or a flat folder.
///
/// - Parameters:
///   - directory: where they are.
///   - split: which part is entered where the directory holds `train` and `val` (or `valid`, `validation`, `test`).
///   - labels: a file with one integer a line for a flat folder's images in sorted order.
///   - wordNetIndex: the class index of each WordNet identifier. If every class folder is called so, labels are these
///     indices, so that a subset of ImageNet is scored right.
///   - classNames: a network's classes; if every class folder is called like one, labels are positions among these. If no
///     folder is called like a class, labels are positions of the sorted folder names. Where some are and others are not,
///     it is an error to evaluate on them (no network can have been trained with such labels) and a warning to train.
///   - sortsLabels: numbers the folders in their sorted order, whatever they are called.
/// - Throws: `DatasetError`.
public func openDataset(
  _ directory: String, split: Split = .test, labels: String? = nil, wordNetIndex: [String: Int] = [:],
  classNames: [String]? = nil, sortsLabels: Bool = false
) throws -> any Dataset {
  let index = sortsLabels ? [:] : wordNetIndex
  let names = sortsLabels ? nil : classNames
  guard isDirectory(directory) else {
    throw DatasetError.notADirectory(directory)
  }
  let dataset: any Dataset
  if let files = IDXDataset.files(in: directory, split) {
    dataset = try IDXDataset(images: files.images, labels: files.labels)
  } else if let files = CIFAR10Binary.files(in: directory, split) {
    dataset = try CIFAR10Binary(files, in: directory)
  } else if let folder = try partFolder(directory, split) {
    guard !subdirectories(of: directory + "/" + folder).isEmpty else {
      return try FlatFolder(directory + "/" + folder, labels: labels)
    }
    dataset = try ImageFolder(
      directory, part: folder, wordNetIndex: index, classNames: names, takesMixed: split == .train)
  } else if subdirectories(of: directory).isEmpty {
    return try FlatFolder(directory, labels: labels)
  } else {
    dataset = try ImageFolder(directory, wordNetIndex: index, classNames: names, takesMixed: split == .train)
  }
  if let labels { throw DatasetError.labels(labels, reason: "\(directory) has labels of its own") }
  return dataset
}

/// The folder of a split in a directory that has parts; `nil` where its folders are classes.
///
/// A class may be called `train`: a directory has parts if there is a folder to validate on beside that, or nothing else, or
/// if a folder called like a part holds folders of its own. Capitals do not matter.
private func partFolder(_ directory: String, _ split: Split) throws -> String? {
  let names = subdirectories(of: directory)
  let judging = ["val", "valid", "validation", "test"]
  let (training, others) = (
    names.filter { $0.lowercased() == "train" }, names.filter { judging.contains($0.lowercased()) }
  )
  let parts = training + others
  let areAllParts = !parts.isEmpty && parts.count == names.count
  guard
    areAllParts || (!training.isEmpty && !others.isEmpty)
      || parts.contains(where: { !subdirectories(of: directory + "/" + $0).isEmpty })
  else { return nil }
  let wanted = split == .train ? training : judging.flatMap { name in others.filter { $0.lowercased() == name } }
  guard let found = wanted.first else {
    throw DatasetError.missingPart(directory, names: split == .train ? ["train"] : ["val", "test"])
  }
  return found
}

/// Names of the folders in a folder, sorted by bytes, hidden ones left out.
func subdirectories(of directory: String) -> [String] {
  entries(of: directory).filter { isDirectory(directory + "/" + $0) }
}

/// Names in a folder, sorted by bytes as Python sorts, hidden ones left out.
func entries(of directory: String) -> [String] {
  ((try? directoryEntries(directory)) ?? []).filter { !$0.hasPrefix(".") }
}

extension DatasetError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
