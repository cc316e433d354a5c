import Files
import ModelZoo

/// The images of a run.
struct TrainingData {
  let training: any Dataset
  /// `nil` where there are none.
  let validation: (any Dataset)?
  let description: DataDescription
  /// What the user should know of them.
  let warnings: [String]
  /// Whether labels are ImageNet's indices.
  let hasWordNetLabels: Bool
  /// Whether the images are grey.
  let isGrey: Bool

  /// Opens the images to learn from, and those to validate on where there are any.
  /// - Throws: `DatasetError`, `TrainingError.data`.
  init(_ settings: TrainingSettings) throws {
    let index = ImageNet.indexOfWordNetID
    let training = try openDataset(settings.data, split: .train, wordNetIndex: index)
    var validation: (any Dataset)?
    do {
      validation = try openDataset(
        settings.data, split: .test, wordNetIndex: training.labelKind == .wordNet ? index : [:],
        classNames: training.classNames)
    } catch DatasetError.missingPart {
      validation = nil
    } catch DatasetError.mixedClasses(let path, let reason) {
      let known = Set(training.classNames ?? [])
      let other = try directoryEntries(path).first { isDirectory(path + "/" + $0) && !known.contains($0) }
      throw TrainingError.data(
        other.map { "\(settings.data): its validation images have a class '\($0)' that training has not" }
          ?? "\(path): \(reason)")
    } catch DatasetError.empty(let path) where path == settings.data {
      validation = nil  // the training files of MNIST or CIFAR-10 without those of the test
    }
    // A folder without parts is all for training, whatever part is asked for.
    if let folder = training as? ImageFolder, let other = validation as? ImageFolder,
      isSameFile(folder.root, other.root)
    {
      validation = nil
    }
    let known = Set(training.classNames ?? [])
    if !known.isEmpty, let other = validation?.classNames?.first(where: { !known.contains($0) }) {
      throw TrainingError.data("\(settings.data): its validation images have a class '\(other)' that training has not")
    }
    guard training.count > 0, (0..<training.count).allSatisfy({ training.label($0) != nil }) else {
      throw TrainingError.data("\(settings.data): images without labels cannot be learnt from")
    }
    if let validation, validation.count == 0 || !(0..<validation.count).allSatisfy({ validation.label($0) != nil }) {
      throw TrainingError.data("\(settings.data): its validation images have no labels (a folder for each class)")
    }
    self.training = training.limited(to: settings.limit)
    self.validation = validation?.limited(to: settings.limit)
    description = DataDescription(training: self.training, validation: self.validation)
    warnings =
      training.warnings + (validation?.warnings ?? [])
      + (validation != nil
        ? []
        : [
          "\(settings.data): no validation images (a folder val beside train): every accuracy is that of training, "
            + "and best.safetensors is the last epoch's"
        ])
    hasWordNetLabels = training.labelKind == .wordNet
    isGrey = training is IDXDataset
  }

  /// Classes to tell apart, by names or labels.
  var classes: Int {
    if hasWordNetLabels { return ImageNet.classNames.count }
    return max(highestLabel(training) + 1, training.classNames?.count ?? 0)
  }

  /// - Throws: `TrainingError.data` where a validation label is none of the classes.
  func check(classes: Int) throws {
    for data in [training, validation].compactMap({ $0 }) {
      let highest = highestLabel(data)
      guard highest < classes else {
        throw TrainingError.data("\(data.summary): labels go up to \(highest), but there are \(classes) classes")
      }
    }
  }

  private func highestLabel(_ data: any Dataset) -> Int {
    (0..<data.count).lazy.compactMap { data.label($0) }.max() ?? 0
  }
}
